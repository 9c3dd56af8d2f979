"""A dial for the limb: policies generated from the number of steps in which they are to find."""

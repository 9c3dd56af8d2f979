"""Drive a limb by keyboard, game pad or leader limb."""

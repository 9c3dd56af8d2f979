"""The contracts of ``hardware``, kept by simulation: soft limbs, cameras and a target."""

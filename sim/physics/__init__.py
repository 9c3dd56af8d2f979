"""Dynamics and kinematics of soft limbs: rigid links, beams, tendons, servos."""

"""Servo buses: protocols, register tables, serial and UDP buses, and the limb driver over them."""

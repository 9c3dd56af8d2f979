"""What weights of recurrent networks tell: encoders, a zoo to try them on, an archive of policies.

After arXiv 2403.11998: mechanistic encoders look at the weights, functionalist ones ask the network
questions. ``encoders`` has both and emulation, by which they learn; ``zoo`` the formal languages;
``archive`` the recurrent policies of a limb.
"""

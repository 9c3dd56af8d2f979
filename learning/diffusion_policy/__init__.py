"""Diffusion policies: chunks of actions by denoising, and what caching attention is worth there.

Denoisers and their training (Chi et al., Diffusion Policy, arXiv 2303.04137), samplers (DDPM, DDIM,
few steps), caching over denoising steps (TGATE, arXiv 2404.02747; block-wise adaptive caching,
arXiv 2506.13456), and policies of the limb that are trained from recordings.
"""

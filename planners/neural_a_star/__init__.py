"""Neural A* (Yonetani et al., ICML 2021), made again small: learned costs for A*."""

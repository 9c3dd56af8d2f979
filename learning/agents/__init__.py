"""Language agents: optimisable graphs (arXiv 2402.16823) and mindstorms (arXiv 2305.17066)."""

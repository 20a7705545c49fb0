"""Parts by geometry: a weighted Laplacian, candidates for a click, corrections by later clicks."""

"""`vitrine demo`: a simulated shop, played against the real service over HTTP."""

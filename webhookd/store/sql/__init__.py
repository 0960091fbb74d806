"""What every store in SQL does, whatever its engine: in statements by name, which each engine has in its own words."""

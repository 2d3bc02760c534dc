//! heightmap

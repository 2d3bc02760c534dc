//! tossingbot

//! The end-to-end throwing robot: see a bin from above, grasp, throw into a box, learn from where things land.
//!
//! This crate's world is a fast reduced model of the TossingBot task (Zeng, Song, Lee, Rodriguez, Funkhouser, RSS 2019): everything
//! physical is plain `f64` geometry and mechanics, deterministic for a seed. SI units, radians, right-handed frames, z up.
//! The learning robot on top is one function network: height map → perception → grasp and throw heads, with the ballistic formula as a
//! node whose parameter is gravity.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ballistics`] | throw speed ↔ landing distance in closed form, with derivatives; with air drag by the implicit function theorem |
//! | [`flight`] | point-mass flight with quadratic drag down to a horizontal plane |
//! | [`release`] | what happens between the opening command and free flight: pivoting, slipping, late detachment |
//! | [`mesh`] | triangle meshes: OBJ and URDF files, solids, mass properties, resting poses |
//! | [`objects`] | the paper's objects, and anyone's folder of meshes |
//! | [`scene`], [`heightmap`] | seeded bins full of objects, seen from above |
//! | [`grasp`] | the antipodal grasp test of a parallel-jaw gripper |
//! | [`boxes`], [`attempt`] | target boxes, and one grasp-and-throw attempt from pixel to landing point |
//! | [`rng`], [`stats`] | named random streams; intervals and paired tests for success rates |
//! | [`physics_node`], [`net`], [`loss`] | the function network: the formula as a node, the three networks, the two losses |
//! | [`observation`], [`agent`], [`hindsight`] | what the networks see, what the robot then does, what a landing teaches |
//! | [`replay`], [`train`], [`method`], [`preset`] | prioritized replay; the curriculum, resumable to the bit; the methods; sizes |
//! | [`evaluate`], [`identify`] | all methods on the same scenes; gravity by gradient descent |
//! | [`ceilings`] | what grasps and corrections could reach at best in a world, without learning |
//! | [`demo`], [`report`], [`archive`] | the whole job; its page and its figures; files that are replaced atomically |

pub mod agent;
pub mod archive;
pub mod attempt;
pub mod ballistics;
pub mod boxes;
pub mod ceilings;
pub mod demo;
mod error;
pub mod evaluate;
pub mod flight;
pub mod grasp;
pub mod heightmap;
pub mod hindsight;
pub mod identify;
pub mod loss;
pub mod mesh;
pub mod method;
pub mod net;
pub mod objects;
pub mod observation;
pub mod physics_node;
pub mod preset;
pub mod release;
pub mod replay;
pub mod report;
pub mod rng;
pub mod scene;
pub mod stats;
pub mod train;

pub use error::{Error, FileProblem, NetworkFailure, Result};

/// The examples of the crate's page, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;

//! Learning to plan: sets of planning problems with exact answers, and how good a learned policy is.

mod hidden;
mod measure;
mod problems;

pub use hidden::{
    Demonstration, HiddenProblem, HiddenRun, HiddenSpec, HiddenWalker, demonstrations,
};
pub use measure::{Report, Share, Walk, measure, walk, wilson};
pub use problems::{Problem, ProblemSet, Protocol};

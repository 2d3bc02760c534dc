//! grasp

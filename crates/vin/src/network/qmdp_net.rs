//! QMDP-net: a Bayes filter and a QMDP planner, both with learned models, as one recurrent policy (Karkus and others 2017).

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Result as NetworkResult, Var};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Layer};
use pullback_nn::ops::{Conv2dOptions, conv2d};
use pullback_nn::parameters::{Bound, Initialization, Parameters, Scope};

use super::vin::set_numbers;
use crate::grid::MOVES_CLOCKWISE as MOVES;
use crate::node::{IterationOptions, action_value_iteration};

/// The observation model of a [`QmdpNet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readings {
    /// The paper's: the map says how likely each of so many (17) kinds of observations is, and a small network which kind a reading is.
    Kinds(usize),
    /// The map says for each bit of a reading how likely it is 1; bits are independent.
    Bits,
}

/// What a [`QmdpNet`] is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QmdpNetSpec {
    /// Channels of the map, the goal's among them.
    pub inputs: usize,
    /// Channels between the map and what is said of it; the paper's are 150.
    pub hidden: usize,
    /// How a reading is understood.
    pub readings: Readings,
    /// Bits of a reading.
    pub bits: usize,
    /// K of the planner; the paper's are 3 for each cell of a side.
    pub iterations: usize,
    /// Actions.
    pub actions: usize,
}

impl Default for QmdpNetSpec {
    fn default() -> Self {
        Self {
            inputs: 2,
            hidden: 150,
            readings: Readings::Kinds(17),
            bits: 4,
            iterations: 30,
            actions: 5,
        }
    }
}

/// Planner: Q = R + T ⋆ V, V = max Q, K times, with R(s, a) from the map and one distribution T over 3×3 neighbours for each action. Filter:
/// b′ = (T_f ⋆ b)·Σ_o Z(s, o)·w_o, normalized, with Z from the map and w from the reading. Policy: softmax of W·Σ_s b(s)·Q(s, ·). T and T_f are
/// weights of their own, as in the paper. With [`Readings::Bits`] Σ Z·w is a product of probabilities of bits.
pub struct QmdpNet {
    reward: [Conv2d; 2],
    observe: [Conv2d; 2],
    planner: String,
    filter: String,
    /// Empty with [`Readings::Bits`].
    reading: Vec<String>,
    head: [String; 2],
    spec: QmdpNetSpec,
}

/// What a map says, for all steps on it.
#[derive(Debug, Clone, Copy)]
pub struct QmdpMaps<'g> {
    /// Q(s, a), (batch, actions, height, width).
    pub q: Var<'g>,
    /// Z(s, o), (batch, kinds, height, width), sums to 1 over o; or the logits of the bits.
    pub z: Var<'g>,
}

impl QmdpNet {
    /// Makes the parameters.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: QmdpNetSpec) -> pullback_nn::Result<Self> {
        let QmdpNetSpec { inputs, hidden, readings, bits, actions, .. } = spec;
        let kinds = if let Readings::Kinds(kinds) = readings { kinds } else { bits };
        let mut pair = |name: &str, outputs: usize| -> pullback_nn::Result<[Conv2d; 2]> {
            let first = Conv2dSpec::same(inputs, hidden, 3).rectified();
            let first = first.initialized(Initialization::He);
            Ok([
                Conv2d::new(&mut scope.scope(&format!("{name}.hidden")), first)?,
                Conv2d::new(
                    &mut scope.scope(&format!("{name}.out")),
                    Conv2dSpec::same(hidden, outputs, 1),
                )?,
            ])
        };
        let (reward, observe) = (pair("reward", actions)?, pair("observe", kinds)?);
        let mut make = |name: &str, dims: &[usize], how| scope.parameter(name, dims, how);
        let (some, zero) = (Initialization::Xavier, Initialization::Constant(0.0));
        Ok(Self {
            reward,
            observe,
            planner: make("planner", &[actions, 9], some)?,
            filter: make("filter", &[actions, 9], some)?,
            reading: match readings {
                Readings::Bits => vec![],
                Readings::Kinds(kinds) => vec![
                    make("reading.weight", &[bits, kinds], some)?,
                    make("reading.bias", &[1, kinds], zero)?,
                    make("reading.out.weight", &[kinds, kinds], some)?,
                    make("reading.out.bias", &[1, kinds], zero)?,
                ],
            },
            head: [
                make("head.weight", &[actions, actions], some)?,
                make("head.bias", &[1, actions], zero)?,
            ],
            spec,
        })
    }

    /// Begins training with both transition models near the moves: action a < 4 goes north, east, south, west, others nowhere, with the odds e^`sharpness` of the
    /// right neighbour against each other one; the head begins as the identity. What maps and readings mean stays to be learned.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn start_as_steps(
        &self,
        parameters: &mut Parameters,
        sharpness: f64,
    ) -> pullback_nn::Result<()> {
        let actions = self.spec.actions;
        let (mut planner, mut filter) = (vec![0.0; 9 * actions], vec![0.0; 9 * actions]);
        for a in 0..actions {
            let [dy, dx] = MOVES.get(2 * a).map_or([0, 0], |m| [m.dy, m.dx]);
            planner[(9 * a).wrapping_add_signed(4 + 3 * dy + dx)] = sharpness;
            // What is here came from the other side.
            filter[(9 * a).wrapping_add_signed(4 - 3 * dy - dx)] = sharpness;
        }
        set_numbers(parameters, &self.planner, planner)?;
        set_numbers(parameters, &self.filter, filter)?;
        let identity = (0..actions * actions).map(|i| f64::from(u8::from(i % (actions + 1) == 0)));
        set_numbers(parameters, &self.head[0], identity.collect())
    }

    /// The settings.
    #[must_use]
    pub fn spec(&self) -> QmdpNetSpec {
        self.spec
    }

    /// Plans on maps (batch, inputs, height, width): once for all steps.
    ///
    /// # Errors
    /// Those of the operations.
    pub fn maps<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<QmdpMaps<'g>> {
        let QmdpNetSpec { actions, iterations, .. } = self.spec;
        let through =
            |[hidden, out]: &[Conv2d; 2]| out.forward(parameters, hidden.forward(parameters, x)?);
        let kernel = parameters.get(&self.planner)?.softmax(1).reshape(&[actions, 3, 3]);
        let options = IterationOptions { iterations, pad: 0.0, untied: false };
        let q = action_value_iteration(through(&self.reward)?, kernel, options)?;
        let z = through(&self.observe)?;
        let z = match self.spec.readings {
            Readings::Bits => z,
            Readings::Kinds(_) => {
                let z = z.sigmoid();
                z / (z.sum_keepdim([1]) + 1e-8)
            }
        };
        Ok(QmdpMaps { q, z: z.ok()? })
    }

    /// The belief after an action (but for the first step) and a reading: belief (batch, 1, height, width), action as one of (batch, actions), reading as
    /// bits (batch, bits).
    ///
    /// # Errors
    /// Those of the operations.
    pub fn filter<'g>(
        &self,
        parameters: &Bound<'g>,
        maps: QmdpMaps<'g>,
        belief: Var<'g>,
        action: Option<Var<'g>>,
        reading: Var<'g>,
    ) -> NetworkResult<Var<'g>> {
        let actions = self.spec.actions;
        let moved = match action {
            None => belief,
            Some(action) => {
                let kernel = parameters.get(&self.filter)?.softmax(1).reshape(&[actions, 1, 3, 3]);
                let options = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
                let all = conv2d(belief, kernel, options);
                (all * action.unsqueeze(2).unsqueeze(3)).sum_keepdim([1])
            }
        };
        let likelihood = match &self.reading[..] {
            [w, b, v, c] => {
                let get = |name: &String| parameters.get(name);
                let inner = (reading.matmul(get(w)?) + get(b)?).tanh();
                let weights = (inner.matmul(get(v)?) + get(c)?).softmax(1);
                (maps.z * weights.unsqueeze(2).unsqueeze(3)).sum_keepdim([1])
            }
            _ => {
                // ln σ(±logit) = −softplus(∓logit).
                let sign = (1.0 - 2.0 * reading).unsqueeze(2).unsqueeze(3);
                (-(sign * maps.z).softplus().sum_keepdim([1])).exp()
            }
        };
        let after = moved * likelihood;
        (after / (after.sum_keepdim([1, 2, 3]) + 1e-8)).ok()
    }

    /// Logits of the actions, (batch, actions).
    ///
    /// # Errors
    /// Those of the operations.
    pub fn policy<'g>(
        &self,
        parameters: &Bound<'g>,
        maps: QmdpMaps<'g>,
        belief: Var<'g>,
    ) -> NetworkResult<Var<'g>> {
        let expected = (maps.q * belief).sum([2, 3]);
        let [w, b] = &self.head;
        (expected.matmul(parameters.get(w)?) + parameters.get(b)?).ok()
    }
}

/// Rows of numbers as a constant (batch, width) of a graph.
pub(super) fn rows<'g>(
    graph: &'g Graph,
    numbers: Vec<f32>,
    width: usize,
    dtype: DType,
) -> NetworkResult<Var<'g>> {
    let dims = (numbers.len() / width.max(1), width);
    let t = Tensor::from_vec(numbers, dims, &Device::Cpu)?.to_dtype(dtype)?;
    Ok(graph.constant(&t))
}

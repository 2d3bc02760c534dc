//! Initial values: which distribution, by which fan, under which name.

mod distribution;
pub mod gain;
mod orthogonal;

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::random;
use distribution::{normal, truncated_normal, uniform};

/// How a parameter gets its first values.
///
/// The fans of a weight of shape (out, in, k…) are fan_in = in·Πk and fan_out = out·Πk, for a grouped convolution those of one
/// group, as in PyTorch. The values are a function of the seed, the parameter's name and its shape.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Initialization {
    /// All the same value.
    Constant(f64),
    /// Uniform on \[low, high).
    Uniform {
        /// The least value.
        low: f64,
        /// The bound above.
        high: f64,
    },
    /// Normal.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
    },
    /// Normal, given that the value lies on \[low, high\].
    TruncatedNormal {
        /// The mean before truncation.
        mean: f64,
        /// The standard deviation before truncation.
        deviation: f64,
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// Uniform on ±√(6 / (fan_in + fan_out)): [`XavierUniform`](Self::XavierUniform) of gain 1.
    Xavier,
    /// Uniform on ±gain·√(6 / (fan_in + fan_out)): keeps the variance of values and gradients of linear layers (Glorot and
    /// Bengio 2010, eq. 16).
    XavierUniform {
        /// See [`gain`].
        gain: f64,
    },
    /// Normal with standard deviation gain·√(2 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 12).
    XavierNormal {
        /// See [`gain`].
        gain: f64,
    },
    /// Normal with variance 2 / fan_in: [`HeNormal`](Self::HeNormal) of gain √2.
    He,
    /// Uniform on ±gain·√(3 / fan): keeps the variance through rectifiers if the gain is √2.
    HeUniform {
        /// See [`gain`].
        gain: f64,
        /// Keep the variance of the values, of the gradients, or between the two.
        fan: Fan,
    },
    /// Normal with standard deviation gain / √fan (He et al. 2015, eq. 10 and 14).
    HeNormal {
        /// See [`gain`].
        gain: f64,
        /// Keep the variance of the values, of the gradients, or between the two.
        fan: Fan,
    },
    /// Uniform on ±√(3 / fan_in): variance 1 / fan_in (LeCun et al. 1998, eq. 16).
    LecunUniform,
    /// Normal with variance 1 / fan_in (LeCun et al. 1998, eq. 16).
    LecunNormal,
    /// gain·Q, where Q, of shape (out, in·Πk), has orthonormal rows or columns, whichever are fewer, and is uniformly distributed
    /// among such matrices (Saxe, McClelland, Ganguli 2014).
    Orthogonal {
        /// See [`gain`].
        gain: f64,
    },
    /// gain on the diagonal of a matrix, 0 elsewhere.
    Identity {
        /// The value on the diagonal.
        gain: f64,
    },
    /// The kernel of a convolution (out, in, k…) that copies channel i to channel i, in each of `groups` equal parts of the
    /// output channels; 0 for channels that are left over. The tap is at ⌊k/2⌋.
    Dirac {
        /// How many parts; it divides the output channels.
        groups: usize,
    },
    /// PyTorch's defaults, by the name `pytorch`: weights of linear, convolutional and transposed layers, and their biases with them
    /// ([`Initialization::pytorch_bias`]), are uniform on ±1/√fan_in. (For a weight this is [`HeUniform`](Self::HeUniform) of the
    /// gain of a leaky rectifier of slope √5.) An attention's maps of queries, keys and values are [`Xavier`](Self::Xavier), its
    /// biases 0. Embeddings, recurrent layers and norms start as PyTorch's in any case.
    Pytorch,
}

/// Which number of connections a variance is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fan {
    /// fan_in: values keep their variance on the way forward.
    #[default]
    In,
    /// fan_out: gradients keep their variance on the way back.
    Out,
    /// (fan_in + fan_out) / 2.
    Average,
}

/// Names for [`Initialization::named`], the second of each row for readers of other systems' configurations.
const NAMES: [(&str, &str, Initialization); 16] = {
    use Initialization as I;
    let he = gain::RELU;
    [
        ("zeros", "zeros", I::Constant(0.0)),
        ("ones", "ones", I::Constant(1.0)),
        ("normal", "pytorch_embedding", I::Normal { mean: 0.0, deviation: 1.0 }),
        (
            "truncated_normal",
            "trunc_normal",
            I::TruncatedNormal { mean: 0.0, deviation: 1.0, low: -2.0, high: 2.0 },
        ),
        ("xavier_uniform", "glorot_uniform", I::XavierUniform { gain: 1.0 }),
        ("xavier_normal", "glorot_normal", I::XavierNormal { gain: 1.0 }),
        ("he_uniform", "kaiming_uniform", I::HeUniform { gain: he, fan: Fan::In }),
        ("he_normal", "kaiming_normal", I::HeNormal { gain: he, fan: Fan::In }),
        ("lecun_uniform", "lecun_uniform", I::LecunUniform),
        ("lecun_normal", "lecun_normal", I::LecunNormal),
        ("orthogonal", "orthogonal", I::Orthogonal { gain: 1.0 }),
        ("identity", "eye", I::Identity { gain: 1.0 }),
        ("dirac", "dirac", I::Dirac { groups: 1 }),
        ("pytorch", "pytorch", I::Pytorch),
        ("pytorch_linear", "pytorch_linear", I::Pytorch),
        ("pytorch_conv", "pytorch_conv", I::Pytorch),
    ]
};

impl Initialization {
    /// The initialization of this name, with its usual settings.
    ///
    /// | name | also | what |
    /// |---|---|---|
    /// | `zeros`, `ones` | | constants |
    /// | `normal` | `pytorch_embedding` | mean 0, deviation 1 |
    /// | `truncated_normal` | `trunc_normal` | the same, on \[−2, 2\] |
    /// | `xavier_uniform`, `xavier_normal` | `glorot_uniform`, `glorot_normal` | of gain 1 |
    /// | `he_uniform`, `he_normal` | `kaiming_uniform`, `kaiming_normal` | of gain √2, by fan_in |
    /// | `lecun_uniform`, `lecun_normal` | | variance 1 / fan_in |
    /// | `orthogonal` | | of gain 1 |
    /// | `identity` | `eye` | of gain 1 |
    /// | `dirac` | | of one group |
    /// | `pytorch` | `pytorch_linear`, `pytorch_conv` | [`Initialization::Pytorch`] |
    ///
    /// # Errors
    /// [`Error::Name`], which lists all of them, if there is none.
    pub fn named(name: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(ours, other, _)| [*ours, *other].contains(&name));
        found.map(|(.., initialization)| *initialization).ok_or_else(|| Error::Name {
            what: "initialization",
            name: name.into(),
            known: known_names(),
        })
    }

    /// The first values of the bias beside a weight of this shape that starts so: [`Initialization::pytorch_bias`] beside
    /// [`Initialization::Pytorch`], else 0.
    ///
    /// # Errors
    /// As [`Initialization::pytorch_bias`].
    pub fn of_bias(self, weight: &[usize]) -> Result<Self> {
        match self {
            Self::Pytorch => Self::pytorch_bias(weight),
            _ => Ok(Self::Constant(0.0)),
        }
    }

    /// PyTorch's default for the bias beside a weight of this shape: uniform on ±1/√fan_in.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the shape has no fans.
    pub fn pytorch_bias(weight: &[usize]) -> Result<Self> {
        let bound = 1.0 / fans("bias", weight)?.0.sqrt();
        Ok(Self::Uniform { low: -bound, high: bound })
    }

    /// PyTorch's default for all parameters of a recurrent layer of this many hidden units: uniform on ±1/√hidden.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are none.
    pub fn pytorch_recurrent(hidden: usize) -> Result<Self> {
        crate::error::check_positive("pytorch_recurrent", "hidden", hidden)?;
        let bound = 1.0 / (hidden as f64).sqrt();
        Ok(Self::Uniform { low: -bound, high: bound })
    }

    /// The values of a parameter: a function of the seed, the name and the shape.
    pub(super) fn values(self, name: &str, seed: u64, dims: &[usize]) -> Result<Vec<f64>> {
        let n = dims.iter().product();
        let random = &mut random::named(seed, name);
        let fans = || fans(name, dims);
        let symmetric = |random: &mut ChaCha8Rng, bound: f64| Ok(uniform(random, -bound, bound, n));
        match self {
            Self::Constant(value) => Ok(vec![value; n]),
            Self::Uniform { low, high } => {
                check(
                    "the upper bound",
                    high,
                    low.is_finite() && low <= high,
                    "is below the lower",
                )?;
                Ok(uniform(random, low, high, n))
            }
            Self::Normal { mean, deviation } => {
                check("deviation", deviation, mean.is_finite() && deviation >= 0.0, NOT_NEGATIVE)?;
                Ok(normal(random, mean, deviation, n))
            }
            Self::TruncatedNormal { mean, deviation, low, high } => {
                check(
                    "deviation",
                    deviation,
                    mean.is_finite() && deviation > 0.0,
                    "is not positive",
                )?;
                check("the upper bound", high, low < high, "is not above the lower")?;
                let [a, b] = [low, high].map(|bound| (bound - mean) / deviation);
                let near = deviation.is_finite() && a < f64::INFINITY && b > f64::NEG_INFINITY;
                check("deviation", deviation, near, "has no number of it between the bounds")?;
                Ok(truncated_normal(random, mean, deviation, [low, high], n))
            }
            Self::Xavier => Self::XavierUniform { gain: 1.0 }.values(name, seed, dims),
            Self::XavierUniform { gain } => {
                check_gain(gain)?;
                let (fan_in, fan_out) = fans()?;
                symmetric(random, gain * (6.0 / (fan_in + fan_out)).sqrt())
            }
            Self::XavierNormal { gain } => {
                check_gain(gain)?;
                let (fan_in, fan_out) = fans()?;
                Ok(normal(random, 0.0, gain * (2.0 / (fan_in + fan_out)).sqrt(), n))
            }
            Self::He => Self::HeNormal { gain: gain::RELU, fan: Fan::In }.values(name, seed, dims),
            Self::HeUniform { gain, fan } => {
                check_gain(gain)?;
                symmetric(random, gain * (3.0 / fan.of(fans()?)).sqrt())
            }
            Self::HeNormal { gain, fan } => {
                check_gain(gain)?;
                Ok(normal(random, 0.0, gain * (1.0 / fan.of(fans()?)).sqrt(), n))
            }
            Self::LecunUniform => symmetric(random, (3.0 / fans()?.0).sqrt()),
            Self::LecunNormal => Ok(normal(random, 0.0, (1.0 / fans()?.0).sqrt(), n)),
            Self::Pytorch => symmetric(random, 1.0 / fans()?.0.sqrt()),
            Self::Orthogonal { gain } => {
                check_gain(gain)?;
                fans()?;
                let rows = dims[0];
                Ok(orthogonal::values(random, gain, rows, n / rows))
            }
            Self::Identity { gain } => match *dims {
                [rows, columns] => {
                    let on = |i: usize| i / columns == i % columns;
                    Ok((0..rows * columns).map(|i| if on(i) { gain } else { 0.0 }).collect())
                }
                _ => refuse(name, format!("an identity needs a shape (out, in), not {dims:?}")),
            },
            Self::Dirac { groups } => dirac(name, groups, dims),
        }
    }
}

/// All names, each followed by its alias in parentheses.
fn known_names() -> String {
    let listed = NAMES.map(|(name, other, _)| match name == other {
        true => name.to_string(),
        false => format!("{name} ({other})"),
    });
    listed.join(", ")
}

impl Fan {
    fn of(self, (fan_in, fan_out): (f64, f64)) -> f64 {
        match self {
            Self::In => fan_in,
            Self::Out => fan_out,
            Self::Average => 0.5 * (fan_in + fan_out),
        }
    }
}

const NOT_NEGATIVE: &str = "must not be negative";

fn check(name: &'static str, value: f64, fits: bool, reason: &'static str) -> Result<()> {
    if fits && !value.is_nan() { Ok(()) } else { Err(Error::Setting { name, value, reason }) }
}

fn check_gain(gain: f64) -> Result<()> {
    check("gain", gain, gain >= 0.0 && gain.is_finite(), NOT_NEGATIVE)
}

fn refuse<T>(name: &str, what: String) -> Result<T> {
    Err(Error::Parameter { name: name.into(), what })
}

fn fans(name: &str, dims: &[usize]) -> Result<(f64, f64)> {
    match dims {
        [out, inputs, taps @ ..] if dims.iter().all(|&d| d > 0) => {
            let taps: usize = taps.iter().product();
            Ok(((inputs * taps) as f64, (out * taps) as f64))
        }
        _ => refuse(
            name,
            format!("its initialization needs a shape (out, in, …) without zeros, not {dims:?}"),
        ),
    }
}

fn dirac(name: &str, groups: usize, dims: &[usize]) -> Result<Vec<f64>> {
    let [out, inputs, taps @ ..] = dims else {
        return refuse(name, format!("a Dirac kernel needs a shape (out, in, k…), not {dims:?}"));
    };
    if taps.is_empty() || dims.contains(&0) || groups == 0 || out % groups != 0 {
        let what = format!(
            "a Dirac kernel needs a shape (out, in, k…) without zeros whose outputs {groups} groups divide, not {dims:?}"
        );
        return refuse(name, what);
    }
    let centre = taps.iter().fold(0, |at, &k| at * k + k / 2);
    let (size, each) = (taps.iter().product::<usize>(), out / groups);
    let mut values = vec![0.0; out * inputs * size];
    for o in 0..*out {
        let channel = o % each;
        if channel < *inputs {
            values[(o * inputs + channel) * size + centre] = 1.0;
        }
    }
    Ok(values)
}

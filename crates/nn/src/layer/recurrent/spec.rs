//! What a recurrent layer over sequences is made from.

/// What a [`Gru`](super::Gru) or an [`Lstm`](super::Lstm) is made from; all choices are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecurrentSpec {
    /// Features of the input.
    pub inputs: usize,
    /// Features of each state.
    pub hidden: usize,
    /// Layers, each over the states of the one below.
    pub layers: usize,
    /// Whether each layer runs forwards and backwards in time, with weights of their own; both states stand beside each other.
    pub bidirectional: bool,
    /// Whether sequences are (batch, time, features); else (time, batch, features).
    pub batch_first: bool,
    /// Whether there are biases.
    pub bias: bool,
    /// The probability with which a number between two layers is dropped in training, see [`Dropout`](crate::layer::Dropout).
    pub dropout: f64,
}

impl RecurrentSpec {
    /// One layer forwards in time over (batch, time, features), with biases.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize) -> Self {
        let (layers, bidirectional, batch_first, bias) = (1, false, true, true);
        Self { inputs, hidden, layers, bidirectional, batch_first, bias, dropout: 0.0 }
    }

    /// 1, or 2 for both ways in time.
    #[must_use]
    pub fn directions(self) -> usize {
        1 + usize::from(self.bidirectional)
    }
}

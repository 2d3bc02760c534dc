//! The parts between convolutions: pooling, resizing, normalization, softmax, sums; forward and with the gradient.

use anyhow::Result;
use benches::peer::noise;
use candle_core::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Var};
use pullback_nn::layer::{BatchNorm2d, BatchNormSpec, GroupNorm, LayerNorm};
use pullback_nn::ops::{max_pool2d, resize_bilinear};
use pullback_nn::parameters::Bound;
use pullback_nn::{Activation, Layer, Parameters};
use serde_json::{Value, json};

type Map = Box<dyn for<'g> Fn(&Bound<'g>, Var<'g>) -> pullback_core_graph::Result<Var<'g>>>;

/// y = f(x) and the gradient of ⟨y, dy⟩ with respect to x and the parameters.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) sizes: Value,
    parameters: Parameters,
    x: Tensor,
    dy: Tensor,
    map: Map,
}

impl Part {
    fn new(kind: &'static str, dims: &[usize], parameters: Parameters, map: Map) -> Result<Self> {
        let tensor = |stream, dims: &[usize]| -> Result<Tensor> {
            let data = noise(stream, dims.iter().product(), 1.0);
            Ok(Tensor::from_vec(data, dims, &Device::Cpu)?.to_dtype(DType::F32)?)
        };
        let x = tensor(0, dims)?;
        let graph = Graph::new();
        let bound = parameters.bind(&graph).training(0);
        let dy = tensor(1, &map(&bound, graph.input(&x))?.dims()?)?;
        let (name, sizes) = (format!("{kind} of {dims:?}"), json!({ "kind": kind, "dims": dims }));
        Ok(Self { name, sizes, parameters, x, dy, map })
    }

    /// y and the gradients.
    pub(crate) fn run(&self) -> Result<Vec<Tensor>> {
        let graph = Graph::new();
        let bound = self.parameters.bind(&graph).training(0);
        let x = graph.input(&self.x);
        let y = (self.map)(&bound, x)?;
        let wrt: Vec<_> = [x].into_iter().chain(bound.vars().iter().copied()).collect();
        let gradient = graph.pull(&[(y, self.dy.clone())], &wrt)?;
        Ok([y.value()?].into_iter().chain(gradient.into_iter().flatten()).collect())
    }
}

/// At the sizes of TossingBot's network, and of a small transformer.
pub(crate) fn parts() -> Result<Vec<Part>> {
    let none = || Parameters::new(0, DType::F32, &Device::Cpu);
    let plain = |kind, dims: &[usize], f: for<'g> fn(Var<'g>) -> Var<'g>| {
        Part::new(kind, dims, none(), Box::new(move |_, x| f(x).ok()))
    };
    let image = [1, 128, 90, 70];
    let rows = [4096, 512];
    let mut parts = vec![
        plain("max pool", &[1, 64, 180, 140], |x| max_pool2d(x, [3, 3], [2, 2], [1, 1]))?,
        plain("bilinear ×2", &[1, 128, 45, 35], |x| resize_bilinear(x, [90, 70]))?,
        plain("relu", &image, |x| x.relu())?,
        plain("tanh", &image, |x| x.tanh())?,
        plain("sigmoid", &image, |x| x.sigmoid())?,
        plain("gelu", &rows, |x| x.gelu())?,
        plain("square, summed over all", &image, |x| x.sqr().sum(()))?,
        plain("square, summed over rows", &rows, |x| x.sqr().sum(0))?,
        plain("square, summed over columns", &rows, |x| x.sqr().sum(1))?,
        plain("square, summed over all but channels", &[16, 64, 45, 35], |x| {
            x.sqr().sum([0, 2, 3])
        })?,
        plain("softmax", &rows, |x| x.softmax(-1))?,
    ];
    let softmax = Activation::LogSoftmax { axis: -1 };
    parts.push(Part::new("log softmax", &rows, none(), Box::new(move |_, x| softmax.apply(x)))?);
    let mut of =
        |kind,
         dims: &[usize],
         make: &dyn Fn(&mut Parameters) -> pullback_nn::Result<Box<dyn Layer>>| {
            let mut parameters = none();
            let layer = make(&mut parameters)?;
            parts.push(Part::new(
                kind,
                dims,
                parameters,
                Box::new(move |p, x| layer.forward(p, x)),
            )?);
            anyhow::Ok(())
        };
    of("layer norm", &rows, &|p| Ok(Box::new(LayerNorm::new(&mut p.root(), &[512])?)))?;
    of("batch norm", &[16, 64, 45, 35], &|p| {
        Ok(Box::new(BatchNorm2d::new(&mut p.root(), 64, BatchNormSpec::default())?))
    })?;
    of("group norm", &[16, 64, 45, 35], &|p| Ok(Box::new(GroupNorm::new(&mut p.root(), 8, 64)?)))?;
    Ok(parts)
}

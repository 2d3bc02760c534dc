//! A planner that learned on small mazes, on large ones: which pictures mean a wall is learned through the plan, and the plan does not care how long a way is.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Graph, Var};
use pullback_nn::optimizer::{Adam, AdamOptions};
use pullback_nn::parameters::{Bound, Initialization, Parameters};
use pullback_vin::gradient::Plan;
use pullback_vin::grid::{Connectivity, GridMap, GridProcess, GridSpec, Maze, carved_maze};
use pullback_vin::learn::{Problem, ProblemSet, Protocol, measure};
use pullback_vin::node::{PlanNode, set_cross_entropy};
use pullback_vin::process::Process;
use pullback_vin::solve::{Method, Settings, solve};

/// How surely one gets into each cell: the sigmoid of a 1×1 convolution of the picture (1 where it is dark).
fn open<'g>(bound: &Bound<'g>, dark: Var<'g>) -> Result<Var<'g>> {
    let (weight, bias) = (bound.get("weight")?, bound.get("bias")?);
    Ok((dark * weight + bias).sigmoid().ok()?)
}

fn picture(map: &GridMap) -> Result<Tensor> {
    let dark = map.solid().iter().map(|s| f64::from(u8::from(*s))).collect::<Vec<_>>();
    Ok(from_vec(dark, &[1, map.height(), map.width()], &Device::Cpu)?)
}

/// −ln of the best actions' share in the plan of the learned cells.
fn loss<'g>(
    graph: &'g Graph,
    bound: &Bound<'g>,
    map: &GridMap,
    problem: &Problem,
) -> Result<Var<'g>> {
    let (h, w) = (map.height(), map.width());
    let unknown = GridMap::new(h, w, vec![false; h * w])?.with_open(vec![0.5; h * w])?;
    let process = GridProcess::new(unknown, GridSpec::default(), &[(problem.goal, 0.0)])?;
    let solver = Settings { tolerance: 1e-9, ..Settings::by(Method::PolicyIteration) };
    let node = PlanNode::new(vec![process], Plan { solver, ..Plan::default() })?.fill(-1e3).build();
    let cost = graph.constant(&Tensor::ones((1, h, w), DType::F64, &Device::Cpu)?);
    let none = graph.constant(&Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?);
    let open = open(bound, graph.constant(&picture(map)?))?;
    let q = graph.apply(&node, &[cost, open, none, none])?[1];
    // How sharply the expert chooses is learned, too: else the cells would say it by opening less.
    let logits = (q * bound.get("sharpness")?.exp()).permute(&[0, 2, 1]).reshape(&[1, 4, h, w]);
    Ok(set_cross_entropy(logits, problem.best.clone())?)
}

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let protocol = Protocol::Gppn { size: 15, connectivity: Connectivity::Four };
    let steps = if quick { 40 } else { 150 };
    let train = ProblemSet::generate(protocol, steps, 2)?;
    let mut parameters = Parameters::new(1, DType::F64, &Device::Cpu);
    parameters.root().parameter("weight", &[1], Initialization::Constant(0.0))?;
    parameters.root().parameter("bias", &[1], Initialization::Constant(0.0))?;
    parameters.root().parameter("sharpness", &[1], Initialization::Constant(0.5))?;
    let mut adam = Adam::new(AdamOptions { learning_rate: 0.1, ..AdamOptions::default() })?;
    for problem in &train.problems {
        let graph = Graph::new();
        let bound = parameters.bind(&graph);
        let loss = loss(&graph, &bound, &train.maps[problem.map], problem)?;
        adam.step(&mut parameters, &graph.gradient(loss, bound.vars())?)?;
    }
    let graph = Graph::new();
    let bound = parameters.bind_constant(&graph);
    let both = from_vec(vec![0.0, 1.0], &[1, 1, 2], &Device::Cpu)?;
    let learned = to_f64(&open(&bound, graph.constant(&both))?.value()?)?;
    output.push(Row::new(
        "learned through plans of 15×15: light cells open",
        "probability",
        learned[0],
    ))?;
    output.push(Row::new(
        "learned through plans of 15×15: dark cells open",
        "probability",
        learned[1],
    ))?;
    for size in if quick { vec![65] } else { vec![65, 129, 257] } {
        let spec = Maze { height: size, width: size, most_open: 0.1 };
        let maps =
            (0..8).map(|k| carved_maze(spec, 900 + k)).collect::<pullback_vin::Result<_>>()?;
        let set = ProblemSet::on_maps(maps, Connectivity::Four, 1, 5)?;
        let mut policies = vec![];
        for problem in &set.problems {
            let map = &set.maps[problem.map];
            let open = to_f64(&open(&bound, graph.constant(&picture(map)?))?.value()?)?;
            // In use a cell is open or it is not: half as open as the clearest one, or more.
            let clearest = open.iter().fold(0.0f64, |m, p| m.max(*p));
            let walls = open.iter().map(|p| *p < 0.5 * clearest).collect();
            let seen = GridMap::new(size, size, walls)?;
            let process = GridProcess::new(seen, GridSpec::default(), &[(problem.goal, 0.0)])?;
            let values = solve(&process, &Settings::by(Method::Prioritized))?.values;
            let mut q = [0.0; 4];
            let action = |s: usize| {
                process.action_values(s, &values, &mut q);
                (1..4).fold(0, |b, a| if q[a] > q[b] { a } else { b }) as u8
            };
            policies.push((0..process.states()).map(action).collect());
        }
        let report = measure(&set, &policies, true)?;
        let longest = set
            .problems
            .iter()
            .flat_map(|p| p.lengths.iter().filter(|l| l.is_finite()))
            .fold(0.0f64, |m, l| m.max(*l));
        let worst = report.by_length.iter().filter(|s| s.of > 0).map(|s| s.value());
        let worst = 100.0 * worst.fold(f64::INFINITY, f64::min);
        let name = format!("trained on 15×15, used on mazes of {size}×{size}");
        let row = Row::new(format!("{name}: worst success of any length"), "%", worst);
        output.push(row.at_least(99.0))?;
        output.push(Row::new(format!("{name}: longest way"), "moves", longest))?;
    }
    Ok(())
}

//! Sums of products in Einstein's notation.

use std::collections::BTreeMap;

use crate::graph::{Graph, Var};
use crate::{Error, Result};

/// A variable whose axes carry labels.
struct Term<'g> {
    var: Var<'g>,
    labels: Vec<char>,
}

impl Graph {
    /// A sum of products in Einstein's notation: `einsum("bij,bjk->bik", &[x, y])`.
    ///
    /// Letters name axes. A letter that does not stand in the output is summed over; one that stands twice in an operand takes its
    /// diagonal; `...` stands for leading axes, which broadcast. Without `->`, the output has the letters that occur once, in
    /// alphabetical order. Operands meet from left to right, each pair in one batched matrix product.
    ///
    /// Errors: notation that does not parse or does not fit the shapes.
    pub fn einsum<'g>(&'g self, equation: &str, x: &[Var<'g>]) -> Var<'g> {
        self.sticky(self.try_einsum(equation, x))
    }

    fn try_einsum<'g>(&'g self, equation: &str, x: &[Var<'g>]) -> Result<Var<'g>> {
        let bad = |what: String| Error::invalid("einsum", format!("\"{equation}\": {what}"));
        let clean: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) =
            clean.split_once("->").map_or((clean.as_str(), None), |(l, r)| (l, Some(r)));
        let operands: Vec<&str> = left.split(',').collect();
        if operands.len() != x.len() {
            return Err(bad(format!("{} operands written, {} given", operands.len(), x.len())));
        }
        self.check_own("einsum", x)?;
        let mut sizes: BTreeMap<char, usize> = BTreeMap::new();
        let mut terms = Vec::with_capacity(x.len());
        let mut written: Vec<char> = Vec::new();
        for (labels, var) in operands.iter().zip(x) {
            let dims = var.dims()?;
            let labels = expand(labels, dims.len()).map_err(bad)?;
            for (&c, &n) in labels.iter().zip(&dims) {
                let known = sizes.entry(c).or_insert(n);
                if *known != n && *known != 1 && n != 1 || (*known != n && c.is_ascii_alphabetic())
                {
                    return Err(bad(format!("axis {c} has lengths {known} and {n}")));
                }
                *known = (*known).max(n);
            }
            written.extend(&labels);
            terms.push(diagonals(Term { var: *var, labels }));
        }
        let output = match right {
            Some(r) => {
                let dots =
                    terms.iter().flat_map(|t| &t.labels).filter(|c| c.is_ascii_digit()).count();
                let longest = terms
                    .iter()
                    .map(|t| t.labels.iter().filter(|c| c.is_ascii_digit()).count())
                    .max();
                let n = r.replace("...", "").chars().count();
                let dots = if dots > 0 && r.contains("...") { longest.unwrap_or(0) } else { 0 };
                expand(r, n + dots).map_err(bad)?
            }
            None => implicit(&written),
        };
        for (i, c) in output.iter().enumerate() {
            if output[..i].contains(c) {
                return Err(bad(format!("axis {c} stands twice in the output")));
            }
            if !sizes.contains_key(c) {
                return Err(bad(format!("axis {c} of the output stands in no operand")));
            }
        }
        contract(self, terms, &output, &sizes)
    }
}

/// The letters of one operand; `...` becomes digits that count from the last leading axis.
fn expand(labels: &str, rank: usize) -> std::result::Result<Vec<char>, String> {
    let letters = labels.replace("...", "");
    let n = letters.chars().count();
    if let Some(c) = letters.chars().find(|c| !c.is_ascii_alphabetic()) {
        return Err(format!("unexpected '{c}'"));
    }
    if 1 < labels.matches("...").count() {
        return Err(format!("\"{labels}\" has more than one \"...\""));
    }
    let Some((before, after)) = labels.split_once("...") else {
        return if n == rank {
            Ok(labels.chars().collect())
        } else {
            Err(format!("\"{labels}\" names {n} of {rank} axes"))
        };
    };
    if rank < n || 10 < rank - n {
        return Err(format!("\"{labels}\" does not fit rank {rank}"));
    }
    let dots = (0..rank - n).rev().map(|i| (b'0' + i as u8) as char);
    Ok(before.chars().chain(dots).chain(after.chars()).collect())
}

/// The output where none is written: the dots, then every letter that was written once.
fn implicit(written: &[char]) -> Vec<char> {
    let mut count: BTreeMap<char, usize> = BTreeMap::new();
    written.iter().for_each(|&c| *count.entry(c).or_default() += 1);
    let mut dots: Vec<char> = count.keys().copied().filter(char::is_ascii_digit).collect();
    dots.reverse();
    dots.into_iter()
        .chain(count.iter().filter(|(c, n)| c.is_ascii_alphabetic() && **n == 1).map(|(&c, _)| c))
        .collect()
}

/// Takes the diagonal of each pair of equal labels.
fn diagonals(mut term: Term<'_>) -> Term<'_> {
    while let Some((i, j)) = repeated(&term.labels) {
        let rank = term.labels.len() as i32;
        let others: Vec<i32> = (0..rank).filter(|&k| k != i as i32 && k != j as i32).collect();
        let order: Vec<i32> = others.iter().copied().chain([i as i32, j as i32]).collect();
        let label = term.labels[i];
        term.var = term.var.permute(&order).diagonal();
        term.labels = others.iter().map(|&k| term.labels[k as usize]).chain([label]).collect();
    }
    term
}

fn repeated(labels: &[char]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|j| labels[..j].iter().position(|c| *c == labels[j]).map(|i| (i, j)))
}

/// Sums out what no other operand and not the output needs, then meets the next operand.
fn contract<'g>(
    graph: &'g Graph,
    terms: Vec<Term<'g>>,
    output: &[char],
    sizes: &BTreeMap<char, usize>,
) -> Result<Var<'g>> {
    let mut rest = terms.into_iter().collect::<std::collections::VecDeque<_>>();
    let needed = |c: &char, rest: &std::collections::VecDeque<Term<'g>>| {
        output.contains(c) || rest.iter().any(|t| t.labels.contains(c))
    };
    let Some(mut have) = rest.pop_front() else {
        return Err(Error::Arity {
            node: "einsum".into(),
            what: "or more operands",
            expected: 1,
            got: 0,
        });
    };
    loop {
        have = sum_out(have, |c| needed(c, &rest));
        let Some(next) = rest.pop_front() else { break };
        let with_have = |c: &char| have.labels.contains(c) || needed(c, &rest);
        let next = sum_out(next, with_have);
        have = pair(have, next, |c| needed(c, &rest), sizes);
    }
    let order: Vec<i32> = output
        .iter()
        .filter_map(|c| have.labels.iter().position(|l| l == c))
        .map(|i| i as i32)
        .collect();
    let _ = graph;
    have.var.permute(&order).ok()
}

fn sum_out<'g>(term: Term<'g>, keep: impl Fn(&char) -> bool) -> Term<'g> {
    let out: Vec<i32> =
        (0..term.labels.len()).filter(|&i| !keep(&term.labels[i])).map(|i| i as i32).collect();
    if out.is_empty() {
        return term;
    }
    let labels = term.labels.iter().copied().filter(|c| keep(c)).collect();
    Term { var: term.var.sum(out.as_slice()), labels }
}

/// One batched matrix product: shared and needed axes are the batch, shared and not needed ones are contracted.
fn pair<'g>(
    a: Term<'g>,
    b: Term<'g>,
    needed: impl Fn(&char) -> bool,
    sizes: &BTreeMap<char, usize>,
) -> Term<'g> {
    let shared = |c: &&char| b.labels.contains(c);
    let batch: Vec<char> = a.labels.iter().filter(shared).filter(|c| needed(c)).copied().collect();
    let inner: Vec<char> = a.labels.iter().filter(shared).filter(|c| !needed(c)).copied().collect();
    let rows: Vec<char> = a.labels.iter().filter(|c| !shared(c)).copied().collect();
    let columns: Vec<char> = b.labels.iter().filter(|c| !a.labels.contains(c)).copied().collect();
    let size = |labels: &[char]| labels.iter().map(|c| sizes[c]).product::<usize>();
    let arrange = |t: &Term<'g>, groups: [&[char]; 3]| {
        let order: Vec<char> = groups.concat();
        let position = |c: &char| t.labels.iter().position(|l| l == c).unwrap_or(0) as i32;
        let full: Vec<usize> = order.iter().map(|c| sizes[c]).collect();
        let dims: Vec<usize> = groups.iter().map(|g| size(g)).collect();
        t.var
            .permute(&order.iter().map(position).collect::<Vec<_>>())
            .broadcast_to(&full)
            .reshape(&dims)
    };
    let product =
        arrange(&a, [&batch, &rows, &inner]).matmul(arrange(&b, [&batch, &inner, &columns]));
    let labels = [batch.as_slice(), &rows, &columns].concat();
    let dims: Vec<usize> = labels.iter().map(|c| sizes[c]).collect();
    Term { var: product.reshape(&dims), labels }
}

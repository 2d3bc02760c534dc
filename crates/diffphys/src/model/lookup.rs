//! Elements by name.

use super::Model;
use crate::{Error, Result};
use std::collections::HashMap;

/// One look-up for each kind of element.
macro_rules! by_name {
    ($($kind:ident: $names:ident,)*) => {
        /// The number of each named element, by kind.
        #[derive(Debug, Clone, Default)]
        pub(crate) struct Numbers {
            $($kind: Known,)*
        }

        impl Model {
            /// Takes up the names of elements that were added.
            pub(crate) fn index(&mut self) {
                $(self.numbers.$kind.extend(&self.$names);)*
            }

            $(
                #[doc = concat!("The number of the ", stringify!($kind), " of that name.")]
                ///
                /// # Errors
                /// [`Error::Unknown`] if there is none.
                pub fn $kind(&self, name: &str) -> Result<usize> {
                    let found = self.numbers.$kind.number.get(name).copied();
                    found.ok_or_else(|| Error::Unknown {
                        node: format!("model '{}'", self.name),
                        kind: stringify!($kind),
                        name: name.to_string(),
                    })
                }
            )*
        }
    };
}

by_name! {
    body: body_names,
    joint: jnt_names,
    geom: geom_names,
    site: site_names,
    tendon: tendon_names,
    actuator: actuator_names,
}

/// Elements of one kind; those without a name cannot be asked for.
#[derive(Debug, Clone, Default)]
struct Known {
    number: HashMap<String, usize>,
    seen: usize,
}

impl Known {
    fn extend(&mut self, names: &[String]) {
        for (k, name) in names.iter().enumerate().skip(self.seen) {
            if !name.is_empty() {
                self.number.entry(name.clone()).or_insert(k);
            }
        }
        self.seen = names.len();
    }
}

impl Model {
    /// A name for messages: `joint 'knee'`, or `joint 3` where it has none.
    pub(crate) fn label(kind: &str, names: &[String], id: usize) -> String {
        match names.get(id) {
            Some(name) if !name.is_empty() => format!("{kind} '{name}'"),
            _ => format!("{kind} {id}"),
        }
    }
}

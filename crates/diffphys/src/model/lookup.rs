//! Elements by name.

use super::Model;
use crate::{Error, Result};

/// One look-up for each kind of element.
macro_rules! by_name {
    ($($kind:ident: $names:ident,)*) => {
        impl Model {
            $(
                #[doc = concat!("The number of the ", stringify!($kind), " of that name.")]
                ///
                /// # Errors
                /// [`Error::Unknown`] if there is none.
                pub fn $kind(&self, name: &str) -> Result<usize> {
                    let found = self.$names.iter().position(|n| n == name);
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

impl Model {
    /// A name for messages: `joint 'knee'`, or `joint 3` where it has none.
    pub(crate) fn label(kind: &str, names: &[String], id: usize) -> String {
        match names.get(id) {
            Some(name) if !name.is_empty() => format!("{kind} '{name}'"),
            _ => format!("{kind} {id}"),
        }
    }
}

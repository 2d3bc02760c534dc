//! Default classes: attributes that elements of a class take where they give none.

use super::attributes::ORIENTATIONS;
use super::xml::Element;
use crate::Result;
use std::collections::HashMap;
use std::rc::Rc;

/// The tags of actuators share one set of defaults.
pub(crate) const ACTUATORS: [&str; 5] = ["general", "motor", "position", "velocity", "intvelocity"];

/// Tags whose defaults matter.
const KEPT: [&str; 8] = ["joint", "geom", "site", "pair", "equality", "tendon", "actuator", "mesh"];

/// Those of what only draws.
const DRAWN: [&str; 4] = ["material", "texture", "camera", "light"];

/// More attributes of all classes together, inherited ones counted, are refused.
const MOST: usize = 1_000_000;

type Lists = HashMap<String, Vec<(String, String)>>;

/// Attributes by class, then by tag. A class without any of its own shares those of the class around it.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    classes: HashMap<String, Rc<Lists>>,
    /// Attributes of all of them.
    count: usize,
}

/// The class without a name.
pub(crate) const MAIN: &str = "main";

impl Defaults {
    /// Reads a top-level `default` and the classes in it.
    pub(crate) fn read(&mut self, element: &Element) -> Result<()> {
        let name = class_name(element).unwrap_or(MAIN);
        if name != MAIN && self.classes.contains_key(name) {
            return Err(element.wrong(format!("the class '{name}' stands twice")));
        }
        let lists = self.classes.remove(MAIN).unwrap_or_default();
        // A class under another name at the top is the main class, renamed.
        self.class(element, name, lists)?;
        if name != MAIN
            && let Some(lists) = self.classes.get(name).cloned()
        {
            self.classes.insert(MAIN.to_string(), lists);
        }
        Ok(())
    }

    fn class(&mut self, element: &Element, name: &str, around: Rc<Lists>) -> Result<()> {
        let lists = self.lists(element, around)?;
        // Before the classes in it, so that none of them has its name.
        self.classes.insert(name.to_string(), lists.clone());
        for child in element.children.iter().filter(|c| c.tag == "default") {
            let Some(inner) = class_name(child) else {
                return Err(child.wrong("a nested default needs a class"));
            };
            if inner == MAIN || self.classes.contains_key(inner) {
                return Err(child.wrong(format!("the class '{inner}' stands twice")));
            }
            self.class(child, inner, lists.clone())?;
        }
        Ok(())
    }

    /// The attributes of a class inside one that has those of `around`.
    fn lists(&mut self, element: &Element, around: Rc<Lists>) -> Result<Rc<Lists>> {
        let mut own = None;
        for child in element.children.iter().filter(|c| c.tag != "default") {
            let tag = if ACTUATORS.contains(&child.tag.as_str()) {
                "actuator"
            } else {
                child.tag.as_str()
            };
            if DRAWN.contains(&tag) {
                continue;
            }
            if !KEPT.contains(&tag) {
                return Err(child.unsupported(format!("a default of <{tag}>")));
            }
            let lists = own.get_or_insert_with(|| Lists::clone(&around));
            let list = lists.entry(tag.to_string()).or_default();
            if tag == "actuator" {
                list.retain(|(n, _)| n != KIND);
                list.push((KIND.to_string(), child.tag.clone()));
            }
            // An orientation stands for the whole, however it is given.
            if child.attributes.iter().any(|(n, _)| ORIENTATIONS.contains(&n.as_str())) {
                list.retain(|(n, _)| !ORIENTATIONS.contains(&n.as_str()));
            }
            for (attribute, value) in &child.attributes {
                list.retain(|(n, _)| n != attribute);
                list.push((attribute.clone(), value.clone()));
            }
        }
        let Some(own) = own else { return Ok(around) };
        self.count += own.values().map(Vec::len).sum::<usize>();
        if self.count > MOST {
            let what =
                format!("the classes have more than {MOST} attributes, inherited ones counted");
            return Err(element.wrong(what));
        }
        Ok(Rc::new(own))
    }

    /// The defaults of an element: of its own class, else of `around`, the class of the bodies around it.
    pub(crate) fn of(
        &self,
        element: &Element,
        tag: &str,
        around: &str,
    ) -> Result<&[(String, String)]> {
        let name = class_name(element).unwrap_or(around);
        self.known(element, name)?;
        Ok(self.classes.get(name).and_then(|lists| lists.get(tag)).map_or(&[], Vec::as_slice))
    }

    /// The class that the elements of a body or frame take: its `childclass`, or that around it.
    pub(crate) fn inside<'a>(
        &self,
        element: &'a Element,
        own: Option<&'a str>,
        around: &'a str,
    ) -> Result<&'a str> {
        if let Some(name) = own {
            self.known(element, name)?;
        }
        Ok(own.unwrap_or(around))
    }

    fn known(&self, element: &Element, name: &str) -> Result<()> {
        if name == MAIN || self.classes.contains_key(name) {
            Ok(())
        } else {
            Err(element.wrong(format!("there is no default class '{name}'")))
        }
    }
}

/// Stands for the tag of an actuator's default among its attributes.
pub(crate) const KIND: &str = "<kind>";

fn class_name(element: &Element) -> Option<&str> {
    element.attributes.iter().find(|(n, _)| n == "class").map(|(_, v)| v.as_str())
}

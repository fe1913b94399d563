//! Flow control from afar, RFC 1372: whether XOFF and XON stop the client's output.

const OFF: u8 = 0;
const ON: u8 = 1;
const RESTART_ANY: u8 = 2;
const RESTART_XON: u8 = 3;

/// What the client does with XOFF, once the option is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// XOFF stops output.
    pub on: bool,
    /// Any character starts it again, not XON alone.
    pub any: bool,
}

impl Default for Flow {
    /// On as soon as the option is (RFC 1372 section 4), and started as the client likes.
    fn default() -> Self {
        Self {
            on: true,
            any: false,
        }
    }
}

impl Flow {
    /// A host said `payload`. Returns whether it is a word of RFC 1372.
    pub const fn learn(&mut self, payload: &[u8]) -> bool {
        let &[word] = payload else {
            return false;
        };
        match word {
            OFF => self.on = false,
            ON => self.on = true,
            RESTART_ANY => self.any = true,
            RESTART_XON => self.any = false,
            _ => return false,
        }
        true
    }

    /// What a client that is in `before` has to be told: payloads, of which each is one byte.
    #[must_use]
    pub fn difference(self, before: Self) -> Vec<[u8; 1]> {
        let on = [if self.on { ON } else { OFF }];
        let any = [if self.any { RESTART_ANY } else { RESTART_XON }];
        let told = [(self.on != before.on, on), (self.any != before.any, any)];
        told.into_iter()
            .filter_map(|(differs, payload)| differs.then_some(payload))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_leads_from_one_to_the_other() {
        let all = [(true, true), (true, false), (false, true), (false, false)];
        for (from, to) in all.into_iter().flat_map(|from| all.map(|to| (from, to))) {
            let flow = |(on, any)| Flow { on, any };
            let mut client = flow(from);
            for payload in flow(to).difference(client) {
                assert!(client.learn(&payload));
            }
            assert_eq!(client, flow(to));
        }
        assert!(!Flow::default().learn(&[4]) && !Flow::default().learn(&[]));
    }
}

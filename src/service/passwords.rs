//! Passwords: hashed with Argon2id, off the async threads, a few at a time. A storm of them waits in a bounded queue, and
//! chat goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::ambient::Entropy;
use crate::chat::Refusal;
use crate::telemetry::Metrics;

/// How passwords are hashed.
#[derive(Debug, Clone, Copy)]
pub struct PasswordSettings {
    pub memory_kib: u32,
    pub iterations: u32,
    pub lanes: u32,
    /// Hashed at once; each takes a thread and its memory.
    pub at_once: usize,
    /// That may wait for their turn; beyond it they are refused.
    pub queue: usize,
}

/// A parameter that Argon2id does not take.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Argon2id does not take these parameters: {0}")]
pub struct PasswordSettingsError(String);

pub struct Passwords {
    hasher: Argon2<'static>,
    turns: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    decoy: OnceLock<String>,
    entropy: Entropy,
    metrics: Arc<Metrics>,
}

impl Passwords {
    /// # Errors
    /// When Argon2id does not take the parameters.
    pub fn new(
        settings: PasswordSettings,
        entropy: Entropy,
        metrics: Arc<Metrics>,
    ) -> Result<Self, PasswordSettingsError> {
        let PasswordSettings { memory_kib, iterations, lanes, at_once, queue } = settings;
        let params = Params::new(memory_kib, iterations, lanes, None);
        let params = params.map_err(|error| PasswordSettingsError(error.to_string()))?;
        Ok(Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Semaphore::new(at_once.max(1)),
            waiting: AtomicUsize::new(0),
            waiting_max: queue,
            decoy: OnceLock::new(),
            entropy,
            metrics,
        })
    }

    /// The hash of a password under a fresh salt, in the PHC string format.
    pub async fn hash(&self, password: String) -> Result<String, Refusal> {
        let (hasher, salt) = (self.hasher.clone(), self.entropy.bits().to_be_bytes());
        let hashed = self.in_turn(move || hasher.hash_password_with_salt(password.as_bytes(), &salt)).await?;
        hashed.map(|hash| hash.to_string()).map_err(|error| {
            tracing::error!(%error, "a password cannot be hashed");
            Refusal::Unavailable
        })
    }

    /// Whether a password is the one of a hash, with the parameters of that hash.
    pub async fn fits(&self, password: String, hash: String) -> Result<bool, Refusal> {
        let hasher = self.hasher.clone();
        self.in_turn(move || hasher.verify_password(password.as_bytes(), hash.as_str()).is_ok()).await
    }

    /// The hash of a password that nobody knows: to be compared where there is none, so that it takes as long.
    pub async fn decoy(&self) -> Result<String, Refusal> {
        if let Some(decoy) = self.decoy.get() {
            return Ok(decoy.clone());
        }
        let unknown = format!("{:032x}", self.entropy.bits());
        let hash = self.hash(unknown).await?;
        Ok(self.decoy.get_or_init(|| hash).clone())
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let _place = self.queue()?;
        let Ok(_turn) = self.turns.acquire().await else { return Err(Refusal::Unavailable) };
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Unavailable)
    }

    fn queue(&self) -> Result<Place<'_>, Refusal> {
        let place = Place(self);
        self.metrics.password_queue.inc();
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            Err(Refusal::Unavailable)
        } else {
            Ok(place)
        }
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a Passwords);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.password_queue.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(queue: usize) -> Arc<Passwords> {
        let settings = PasswordSettings { memory_kib: 8, iterations: 1, lanes: 1, at_once: 1, queue };
        Arc::new(Passwords::new(settings, Entropy::seeded(1), Arc::new(Metrics::new())).unwrap())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = passwords(4);
        let hash = passwords.hash("secret".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(passwords.hash("secret".into()).await.unwrap(), hash, "each has a salt of its own");
        assert_eq!(passwords.fits("secret".into(), hash.clone()).await, Ok(true));
        assert_eq!(passwords.fits("Secret".into(), hash).await, Ok(false));
        assert_eq!(passwords.fits("secret".into(), "rubbish".into()).await, Ok(false));
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_at_once_and_the_queue_recovers() {
        let passwords = passwords(1);
        let turn = passwords.turns.acquire().await.unwrap();
        let waiting = tokio::spawn({
            let passwords = passwords.clone();
            async move { passwords.hash("secret".into()).await }
        });
        while passwords.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.hash("another".into()).await, Err(Refusal::Unavailable));
        drop(turn);
        assert!(waiting.await.unwrap().is_ok());
        assert_eq!((passwords.waiting.load(Ordering::Relaxed), passwords.metrics.password_queue.get()), (0, 0));
    }
}

//! A device of an identity, for a program that has an async runtime: each call has its async form and
//! one that waits.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};

use super::client::{self, Identity, Synced};
use super::{Endpoint, NoObserver, PeerError, ReceiverLink, Remote, Timeouts};
use crate::ibgib::Addr;
use crate::space::{Space, SpaceExt};
use crate::sync::msg::Token;
use crate::sync::{Capabilities, SenderOpts, SyncError};

/// A space, the identity that syncs it, and the server that it is synced with.
///
/// What it does waits for the disk, too, so that each call runs on a thread that may wait: the async
/// ones on one of the runtime's threads for that, the `_blocking` ones on the caller's, which may
/// be a thread of a runtime but is held until the end. An async call that is dropped still runs to
/// its end.
#[derive(Clone)]
pub struct Device {
    space: Arc<dyn Space>,
    identity: Arc<Identity>,
    endpoint: Endpoint,
    timeouts: Timeouts,
}

impl Device {
    /// A device whose space holds the identity's frames: of a new identity its genesis, of one that
    /// another device made at least as much.
    pub fn new(space: Arc<dyn Space>, identity: Identity, endpoint: Endpoint) -> Device {
        Device { space, identity: Arc::new(identity), endpoint, timeouts: Timeouts::default() }
    }

    /// The same device with other times.
    pub fn with_timeouts(self, timeouts: Timeouts) -> Device {
        Device { timeouts, ..self }
    }

    /// The space.
    pub fn space(&self) -> &dyn Space {
        &*self.space
    }

    /// Registers the identity with the server; one that is registered already is fine. Errors where
    /// its genesis is not in the space, and as the server refuses.
    pub async fn register(&self) -> Result<(), PeerError> {
        self.spawned(|device, link| device.register_over(link)).await
    }

    /// As [`Device::register`], and waits for it.
    pub fn register_blocking(&self) -> Result<(), PeerError> {
        self.waited_for(|device, link| device.register_over(link))
    }

    /// Syncs the space with the server, as [`client::sync`] does.
    pub async fn sync(&self, opts: SenderOpts) -> Result<Synced, PeerError> {
        self.spawned(move |device, link| device.sync_over(link, &opts)).await
    }

    /// As [`Device::sync`], and waits for it.
    pub fn sync_blocking(&self, opts: &SenderOpts) -> Result<Synced, PeerError> {
        self.waited_for(|device, link| device.sync_over(link, opts))
    }

    /// Proves the secret and brings a token for reading, as [`client::connect`] does; `stage_dir` is
    /// where a sync would keep what is not committed.
    pub async fn connect(&self, stage_dir: PathBuf) -> Result<Option<Token>, PeerError> {
        self.sync(SenderOpts { connect_only: true, ..SenderOpts::new(stage_dir) })
            .await
            .map(|synced| synced.token)
    }

    /// As [`Device::connect`], and waits for it.
    pub fn connect_blocking(&self, stage_dir: PathBuf) -> Result<Option<Token>, PeerError> {
        let opts = SenderOpts { connect_only: true, ..SenderOpts::new(stage_dir) };
        self.sync_blocking(&opts).map(|synced| synced.token)
    }

    /// Revokes the identity, on the server and here, as [`client::revoke`] does. Returns the address
    /// of the frame that does it.
    pub async fn revoke(&self, reason: String) -> Result<Addr, PeerError> {
        self.spawned(move |device, link| device.revoke_over(link, &reason)).await
    }

    /// As [`Device::revoke`], and waits for it.
    pub fn revoke_blocking(&self, reason: &str) -> Result<Addr, PeerError> {
        self.waited_for(|device, link| device.revoke_over(link, reason))
    }

    fn register_over(&self, link: &Remote<'_>) -> Result<(), PeerError> {
        let domain = &self.identity.domain;
        let genesis = self.space.get(domain).map_err(SyncError::from)?;
        let absent = || SyncError::Auth(format!("the identity {domain} is not in this space"));
        link.register(&genesis.ok_or_else(absent)?)
    }

    fn sync_over(&self, link: &Remote<'_>, opts: &SenderOpts) -> Result<Synced, PeerError> {
        client::sync(&*self.space, link, &self.identity, opts, &mut NoObserver)
    }

    fn revoke_over(&self, link: &Remote<'_>, reason: &str) -> Result<Addr, PeerError> {
        client::revoke(&*self.space, link, &self.identity, reason)
    }

    /// Does some work on a thread of the current runtime that may wait.
    async fn spawned<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Device, &Remote<'_>) -> Result<T, PeerError> + Send + 'static,
    ) -> Result<T, PeerError> {
        let (device, runtime) = (self.clone(), Handle::current());
        let (speaks, endpoint) = (Capabilities::default(), self.endpoint.clone());
        let link = Remote::on(speaks, runtime.clone(), endpoint, self.timeouts)?;
        let done = runtime.spawn_blocking(move || work(&device, &link)).await;
        done.map_err(|error| PeerError::NoThread(error.into()))?
    }

    /// Does some work on this thread, over a runtime for this work alone.
    fn waited_for<T>(
        &self,
        work: impl FnOnce(&Device, &Remote<'_>) -> Result<T, PeerError>,
    ) -> Result<T, PeerError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| PeerError::NoThread(error.into()))?;
        let done = Remote::new(&runtime, self.endpoint.clone(), self.timeouts)
            .and_then(|link| work(self, &link));
        // Dropping a runtime waits for it, which a thread of another one may not.
        runtime.shutdown_background();
        done
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("identity", &self.identity.domain)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

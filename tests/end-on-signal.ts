/** A worker that is told to stop runs its exit handlers, which end the programs and clusters that its tests started. */
if (process.listenerCount('SIGTERM') === 0) process.once('SIGTERM', () => process.exit(143));

// Begins the bundle. While a snapshot is taken, no time passes and the process is nobody, since what the program keeps of that
// would make two builds of the same sources differ. And no timer is set: Node would keep when it was due, and in a function that
// starts from the snapshot no timer would fire that is due later. Whoever keeps one of these functions has the real one afterwards.
{
  const { startupSnapshot } = require('node:v8');
  if (startupSnapshot.isBuildingSnapshot()) {
    let isStill = true;
    const standIn = (real, still) => Object.assign((...given) => (isStill ? still() : real(...given)), real);
    const { now } = Date;
    const os = require('node:os');
    const { cwd, hrtime, uptime } = process;
    const { hostname } = os;
    const timer = { hasRef: () => false, ref: () => timer, unref: () => timer, refresh: () => timer };
    const timers = ['setTimeout', 'setInterval'].map((name) => [
      name,
      Object.getOwnPropertyDescriptor(globalThis, name),
    ]);
    Date.now = standIn(now, () => 0);
    performance.now = standIn(performance.now.bind(performance), () => 0);
    os.hostname = standIn(hostname, () => 'localhost');
    process.cwd = standIn(cwd, () => '/');
    process.uptime = standIn(uptime, () => 0);
    process.hrtime = standIn(hrtime, () => [0, 0]);
    process.hrtime.bigint = standIn(hrtime.bigint, () => 0n);
    for (const [name, { value }] of timers) globalThis[name] = standIn(value, () => timer);
    // Node gives each process its own.
    Object.defineProperty(process, 'pid', { value: 1, configurable: true, enumerable: true });
    process.execPath = 'node';
    process.argv[0] = 'node';
    startupSnapshot.addSerializeCallback(() => {
      isStill = false;
      Date.now = now;
      delete performance.now;
      os.hostname = hostname;
      Object.assign(process, { cwd, hrtime, uptime });
      for (const [name, descriptor] of timers) Object.defineProperty(globalThis, name, descriptor);
    });
  }
}

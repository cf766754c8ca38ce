// Preloaded before any TypeScript, which an older Node could not even read.
const [oldest, newest] = [24, 26];
const oldestMinor = 12;
const found = process.versions.node;
const [major = 0, minor = 0] = found.split('.').map(Number);

if (major < oldest || major > newest || (major === oldest && minor < oldestMinor)) {
  process.stderr.write(
    `zen-watcher needs Node ${oldest}.${oldestMinor} to ${newest}, this is Node ${found}. On Linux, Windows and macOS with ` +
      `an Intel processor "npm ci" installs one with the other packages; elsewhere install it and run again.\n`,
  );
  process.exit(1);
}

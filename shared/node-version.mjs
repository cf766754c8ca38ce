// Preloaded before any TypeScript, which an older Node could not even read.
const wanted = 24;
const found = process.versions.node;

if (Number(found.split('.')[0]) !== wanted) {
  process.stderr.write(
    `zen-watcher needs Node ${wanted}, this is Node ${found}. On Linux x64 "npm ci" installs it with the other ` +
      `packages; elsewhere install Node ${wanted} and run again.\n`,
  );
  process.exit(1);
}

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Before all tests, and the bench: the bundle that they start, built from what is here now. */
export default function setup(): void {
  const root = join(import.meta.dirname, '..');
  execFileSync(process.execPath, [join(root, 'knative', 'image', 'build.ts')], { cwd: root, stdio: 'inherit' });
}

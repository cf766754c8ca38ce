import { startupSnapshot } from 'node:v8';
// Which `run` loads when it is asked for a function: here, before that.
import '../shared/host/function-mode.ts';
import { run } from '../shared/run.ts';
import { rehearse } from './rehearse.ts';

/**
 * The image's program. While the image is built Node runs it once, up to where a function would begin, and keeps its heap:
 * https://nodejs.org/api/cli.html#--build-snapshot. Each start of a container goes on from there, where nothing is left to
 * be loaded or compiled. Run as a script it begins at its beginning.
 */
if (startupSnapshot.isBuildingSnapshot()) {
  startupSnapshot.setDeserializeMainFunction(() => void run(process.argv.slice(1)));
  void rehearse(process.argv.slice(2));
} else {
  void run(process.argv.slice(2));
}

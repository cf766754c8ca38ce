import { startupSnapshot } from 'node:v8';
// `run` loads one of these when it is asked for a function, or for all. Loaded here, they become part of the snapshot.
import '../../shared/host/function-mode.ts';
import { run } from '../../shared/run.ts';
import '../../shared/standalone/standalone-mode.ts';
import { rehearse } from './rehearse.ts';

/**
 * The image's program. While the image is built, Node runs it once, up to where a function would begin, and saves its heap
 * (https://nodejs.org/api/cli.html#--build-snapshot). Each container continues from there, with everything loaded and
 * compiled. Run as a plain script, it starts from the beginning.
 */
if (startupSnapshot.isBuildingSnapshot()) {
  startupSnapshot.setDeserializeMainFunction(() => void run(process.argv.slice(1)));
  void rehearse(process.argv.slice(2));
} else {
  void run(process.argv.slice(2));
}

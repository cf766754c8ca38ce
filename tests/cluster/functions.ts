import type { ControlGroup } from '../host/container.ts';
import { type Program, startProgram, within } from '../host/program.ts';

/** What a function's pod knows: the API server's address, and its own identity. */
export interface FunctionOptions {
  /** `127.0.0.1:<port>` */
  readonly server: string;
  /** The folder with its token and CA. */
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly contained?: ControlGroup | undefined;
}

/** Starts one function of the bundle as its container does. */
export function startFunction(name: string, options: FunctionOptions): Promise<Program> {
  const { server, folder, environment = {}, contained } = options;
  const [host = '', port = ''] = server.split(':');
  const pod = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, SERVICE_ACCOUNT_DIR: folder };
  return startProgram({ args: [name], contained, environment: { PORT: '0', ...pod, ...environment } });
}

/** Starts one and waits until it is ready, because Knative sends no events before. */
export async function startReadyFunction(name: string, options: FunctionOptions): Promise<Program> {
  const program = await startFunction(name, options);
  await within(`${name} is ready`, 5, async () => (await fetch(`${program.url}/ready`)).ok || undefined);
  return program;
}

/** The headers of a CloudEvent in binary mode. */
export function eventHeaders(type: string): Record<string, string> {
  return {
    ...{ 'content-type': 'application/json', 'ce-specversion': '1.0', 'ce-id': 'test', 'ce-source': '/tests' },
    'ce-type': type,
  };
}

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type Program, until } from '../host/program.ts';

/** An address that stays the same while what is behind it is killed, started and replaced. */
async function createAddress() {
  let target: number | undefined;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((incoming) => {
    if (target === undefined) return void incoming.destroy();
    const outgoing = connect(target, '127.0.0.1');
    for (const socket of [incoming, outgoing]) {
      keep(socket);
      socket.on('error', () => [incoming, outgoing].forEach((one) => void one.destroy()));
    }
    incoming.pipe(outgoing).pipe(incoming);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    /** New connections go there from now on; `undefined`: nowhere. */
    leadTo(url: string | undefined): void {
      target = url === undefined ? undefined : Number(new URL(url).port);
    },
    close(): void {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface Service {
  readonly address: Awaited<ReturnType<typeof createAddress>>;
  program: Program | undefined;
  /** What is done to it is done one after the other. */
  turn: Promise<unknown>;
}

/** Functions as Knative Services: each has one address, and one Pod, but while a revision replaces another. */
export async function createFleet(names: readonly string[], start: (name: string) => Promise<Program>) {
  const services = new Map<string, Service>();
  for (const name of names) {
    services.set(name, { address: await createAddress(), program: undefined, turn: Promise.resolve() });
  }
  const counts = { kills: 0, revisions: 0 };

  async function inTurn(name: string, work: (service: Service) => Promise<void>): Promise<void> {
    const service = services.get(name);
    if (!service) throw new Error(`no function ${name}`);
    const done = service.turn.then(() => work(service));
    service.turn = done.catch(() => undefined);
    await done;
  }

  async function launch(name: string, service: Service): Promise<void> {
    service.program = await start(name);
    service.address.leadTo(service.program.url);
  }

  /** However long it takes where calls fail and others use the machine: the old one serves meanwhile. */
  const ready = (name: string, program: Program): Promise<void> =>
    until(
      `${name} is ready`,
      async () => (await fetch(`${program.url}/ready`).catch(() => undefined))?.ok ?? false,
      180,
    );

  return {
    names,
    counts,
    urlOf: (name: string): string => services.get(name)?.address.url ?? '',

    /** SIGKILL, and a new Pod, whether that gets ready or not. Nothing, if there is none. */
    kill: (name: string) =>
      inTurn(name, async (service) => {
        if (!service.program) return;
        counts.kills += 1;
        await service.program.kill();
        await launch(name, service);
      }),

    /** Starts it, or a new revision of it: nothing is sent there before it is ready, and then the old one is told to end. */
    replace: (name: string) =>
      inTurn(name, async (service) => {
        const old = service.program;
        const next = await start(name);
        await ready(name, next);
        service.program = next;
        service.address.leadTo(next.url);
        if (old) counts.revisions += 1;
        await old?.stop();
      }),

    /** Tells it to end, and leads what comes from then on to another address, if one is given. */
    stop: (name: string, instead?: string) =>
      inTurn(name, async (service) => {
        service.address.leadTo(instead);
        await service.program?.stop();
        service.program = undefined;
      }),

    async close(): Promise<void> {
      for (const { program, address } of services.values()) {
        await program?.stop();
        address.close();
      }
    },
  };
}

export type Fleet = Awaited<ReturnType<typeof createFleet>>;

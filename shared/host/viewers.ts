import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { PageDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { CommonSettings } from '../function/settings.ts';
import { connectCluster } from '../kubernetes/cluster.ts';
import { type Credentials, callerCredentials } from '../kubernetes/credentials.ts';
import { createLiveView, type LiveView } from '../view/live-view.ts';
import { createViewer, type Viewer } from '../view/viewer.ts';
import { sleep } from './sleep.ts';
import type { ViewRequest } from './view-routes.ts';

/** People who look at the same time, each with what was read for them. */
const mostViews = 24;

/** Rows of all of them together; the ones that were not used for longest go first. A row takes some 600 bytes. */
const mostRows = 200_000;

/** How long what was read is kept for one who asks no more. */
const idleMilliseconds = 300_000;

/** So often the API server is asked whether the token still is one, and may still see what was read with it. */
const checkMilliseconds = 30_000;

export interface Viewers {
  /** What this person may see. Throws a Refusal 401 or 403. */
  viewerFor(request: ViewRequest): Promise<Viewer>;
  stop(): void;
}

export interface ViewersOptions {
  readonly definition: Pick<PageDefinition, 'tokenOf'>;
  readonly settings: CommonSettings;
  /** For the API server and its CA; who it is that asks is replaced. */
  readonly credentials: Credentials;
  readonly now: () => number;
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
}

/** What is kept for one person. */
interface View {
  readonly viewer: Viewer;
  readonly live: LiveView;
  /** Throws a Refusal if the API server no longer lets this be seen. */
  check(): Promise<void>;
  close(): void;
  usedAt: number;
  checkedAt: number;
}

function openView(token: string, namespace: string | undefined, options: ViewersOptions): View {
  const { settings, credentials, now, elapsed } = options;
  const connection = connectCluster({
    credentials: callerCredentials(credentials, token),
    sleep,
    watchNamespace: namespace,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
  });
  const live = createLiveView(connection.feed(namespace));
  const viewer = createViewer({
    reader: connection.store,
    live,
    now,
    exceptions: connection.exceptions,
    place: {
      kind: 'cluster',
      systemNamespace: settings.SYSTEM_NAMESPACE,
      ...(namespace !== undefined && { namespace }),
    },
  });
  return {
    viewer,
    live,
    async check() {
      await connection.store.read({ limit: 1 });
    },
    close() {
      live.stop();
      connection.close();
    },
    usedAt: elapsed(),
    checkedAt: elapsed(),
  };
}

/** What tells views apart, without the token itself. */
function keyFor(token: string, namespace: string | undefined): string {
  return `${createHash('sha256').update(token).digest('hex')} ${namespace ?? ''}`;
}

function tokenIn(headers: IncomingHttpHeaders, { tokenOf }: ViewersOptions['definition']): string {
  const token = tokenOf(headers);
  if (token === undefined) throw new Refusal(401, 'no token came with the request');
  return token;
}

function isForbidden(error: unknown): boolean {
  return error instanceof Refusal && error.status === 403;
}

/** The views that are open, in the order in which they were last used: so many views, and rows, at most. */
function createViews(options: ViewersOptions) {
  const { elapsed } = options;
  const views = new Map<string, View>();

  function drop(key: string): void {
    views.get(key)?.close();
    views.delete(key);
  }

  function isTooMuch(): boolean {
    const rows = [...views.values()].reduce((sum, { live }) => sum + live.rows(), 0);
    return views.size > mostViews || (views.size > 1 && rows > mostRows);
  }

  function sweep(): void {
    for (const [key, { usedAt }] of views) if (elapsed() - usedAt >= idleMilliseconds) drop(key);
    for (const key of views.keys()) {
      if (!isTooMuch()) break;
      drop(key);
    }
  }

  return {
    sweep,
    /** Opens the view, or checks the one that is open. Throws a Refusal if the API server says that it may not be seen. */
    async viewOf(token: string, namespace: string | undefined): Promise<Viewer> {
      const key = keyFor(token, namespace);
      let view = views.get(key);
      const isNew = view === undefined;
      view ??= openView(token, namespace, options);
      // Last in the order again.
      views.delete(key);
      views.set(key, view);
      view.usedAt = elapsed();
      try {
        if (view.live.fault() !== undefined) throw view.live.fault();
        if (isNew || elapsed() - view.checkedAt >= checkMilliseconds) {
          view.checkedAt = elapsed();
          await view.check();
        }
      } catch (error) {
        if (views.get(key) === view) drop(key);
        throw error;
      }
      sweep();
      return view.viewer;
    },
    close(): void {
      for (const key of [...views.keys()]) drop(key);
    },
  };
}

/** Reads for each person what their token may see, and keeps that for a while. */
export function createViewers(options: ViewersOptions): Viewers {
  const { definition, settings, elapsed } = options;
  const { sweep, viewOf, close } = createViews(options);
  /** Who may not see everything, so that this is not asked again for each request. */
  const confined = new Map<string, number>();

  /** The view of the whole cluster. Throws a Refusal 403, and remembers it, if that is more than they may see. */
  async function viewOfAll(token: string): Promise<Viewer> {
    const key = keyFor(token, undefined);
    try {
      const viewer = await viewOf(token, undefined);
      confined.delete(key);
      return viewer;
    } catch (error) {
      if (isForbidden(error)) confined.set(key, elapsed());
      throw error;
    }
  }

  const timer = setInterval(() => {
    sweep();
    for (const [key, since] of confined) if (elapsed() - since >= idleMilliseconds) confined.delete(key);
  }, idleMilliseconds / 10);
  timer.unref();

  return {
    async viewerFor({ headers, namespace }) {
      const token = tokenIn(headers, definition);
      const { WATCH_NAMESPACE: watchNamespace } = settings;
      if (watchNamespace !== undefined) return viewOf(token, watchNamespace);
      if (namespace === undefined) return viewOfAll(token);
      if (confined.has(keyFor(token, undefined))) return viewOf(token, namespace);
      try {
        return await viewOfAll(token);
      } catch (error) {
        if (!isForbidden(error)) throw error;
        return viewOf(token, namespace);
      }
    },
    stop() {
      clearInterval(timer);
      close();
    },
  };
}

import type { CommonSettings } from '../function/settings.ts';
import { createLiveView, type LiveView } from '../view/live-view.ts';
import { createViewer, type Viewer } from '../view/viewer.ts';
import type { LocalStores } from './stores.ts';

export interface LocalViewer {
  /** What whoever uses this machine sees. What it keeps in memory is read when it is first asked. */
  viewer(): Viewer;
  stop(): void;
}

export function createLocalViewer(
  { store, viewing }: Pick<LocalStores, 'store' | 'viewing'>,
  { SYSTEM_NAMESPACE: systemNamespace, WATCH_NAMESPACE: namespace }: CommonSettings,
  now: () => number,
): LocalViewer {
  let live: LiveView | undefined;
  let viewer: Viewer | undefined;
  const kind = viewing.exceptions ? 'cluster' : 'local';
  return {
    viewer() {
      live ??= createLiveView(viewing.feed);
      viewer ??= createViewer({
        reader: store,
        live,
        now,
        exceptions: viewing.exceptions,
        problems: viewing.problems,
        place: {
          kind,
          systemNamespace,
          ...(namespace !== undefined && { namespace }),
          ...(viewing.config !== undefined && { config: viewing.config }),
        },
      });
      return viewer;
    },
    stop: () => live?.stop(),
  };
}

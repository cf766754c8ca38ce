import * as z from 'zod';
import { labels, laterExpiry } from '../api/labels.ts';
import { seriesWith, statusSchema } from '../api/series.ts';
import type { SeriesAddition, StoredRef } from '../function/stores.ts';
import type { ApiClient, ApiResponse } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import { isDone } from './observation-patches.ts';
import { observationPath } from './observation-path.ts';

const metadataSchema = z.object({
  resourceVersion: z.string(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
});

const observationSchema = z.object({ metadata: metadataSchema, status: statusSchema.default({}) });

/** Without fields that nobody reads. */
const metadataAsJson = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

/**
 * Adds repeats to the series in the status of an Observation, and renews it, in at most three calls. The status can't be
 * patched together with the labels: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#status-subresource
 */
export async function addSeries(
  client: ApiClient,
  { namespace, name }: Pick<StoredRef, 'namespace' | 'name'>,
  { expires, ...repeats }: SeriesAddition,
  signal: AbortSignal,
): Promise<'added' | 'changed' | 'gone'> {
  const path = observationPath(namespace, name);
  const patch = (at: string, body: object): Promise<ApiResponse> =>
    client.request({
      ...{ method: 'PATCH', path: at, body, signal },
      ...{ contentType: 'application/merge-patch+json', accept: metadataAsJson },
    });
  const answer = await client.request({ method: 'GET', path, signal });
  if (answer.status === 404) return 'gone';
  if (answer.status !== 200) throw setUpFault('reading Observations', answer);
  const { metadata, status } = observationSchema.parse(answer.body);
  if (metadata.deletionTimestamp !== undefined) return 'gone';
  let { resourceVersion } = metadata;
  const later = laterExpiry(expires, metadata.labels[labels.expires]);
  if (later !== undefined) {
    // First, because it does no harm if it is done again.
    const renewed = await patch(path, { metadata: { resourceVersion, labels: { [labels.expires]: later } } });
    if (!isPatched(renewed)) return 'changed';
    ({ resourceVersion } = observationSchema.parse(renewed.body).metadata);
  }
  const series = seriesWith(status.series, repeats);
  const added = await patch(`${path}/status`, { metadata: { resourceVersion }, status: { series } });
  return isPatched(added) ? 'added' : 'changed';
}

/** Whether it was done. If not, the next attempt finds out whether the Observation is gone. */
function isPatched(response: ApiResponse): boolean {
  return isDone(response, 'changing Observations');
}

import { group } from './group.ts';
import type { Observation } from './observation.ts';

/**
 * The field that everything bears which we send to another system; its value names the Observation. Such a system may
 * send us what it was told, so a source drops whatever has this field: no loop can form.
 */
export const ownMark = `${group}/observation`;

/** The same where neither dots nor slashes may stand, as in the labels of Prometheus and Alertmanager. */
export const ownMarkLabel = ownMark.replaceAll(/[^a-z]/g, '_');

/** The same as an attribute of a CloudEvent. */
export const ownMarkAttribute = 'zenobservation';

/** The value of our mark. */
export function markOf({ metadata: { namespace, name } }: Pick<Observation, 'metadata'>): string {
  return `${namespace}/${name}`;
}

const marks = [ownMark, ownMarkLabel, ownMarkAttribute];

/** Where other systems put what they were told: at the top, or one step below it. */
const places = ['labels', 'annotations', 'commonLabels', 'output_fields'];

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/**
 * Whether data is what we have told somebody. Only the members that such systems use are looked at: deeper down may be
 * anything, such as the labels of a Pod, by which nobody should be able to hide it.
 */
export function bearsOwnMark(data: unknown): boolean {
  if (Array.isArray(data)) return data.some((item) => isRecord(item) && !Array.isArray(item) && bearsOwnMark(item));
  if (!isRecord(data)) return false;
  return [data, ...places.map((place) => data[place])].some(
    (part) => isRecord(part) && marks.some((mark) => Object.hasOwn(part, mark)),
  );
}

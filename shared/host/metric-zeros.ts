import { severities } from '../finding/severity.ts';
import { filterReasons } from '../function/filter.ts';

/** What a function counts. */
export interface Counting {
  readonly name: string;
  /** Where requests to it are counted: the paths of its webhooks, and `/` if it takes events. */
  readonly endpoints: readonly string[];
  readonly isGateway: boolean;
  /** The categories of the Observations that it may write. */
  readonly categories: readonly string[];
  /** Whether its findings have a state, so that it lists what is stored. */
  readonly hasState: boolean;
  readonly usesFilters: boolean;
  /** The kinds of the objects whose expressions it asks. */
  readonly expressionKinds: readonly string[];
  readonly isScheduled: boolean;
  /** The functions whose events it takes when they could not be delivered. */
  readonly deadLettersOf: readonly string[];
  /** What becomes of what it tells others, if it does. */
  readonly announces: readonly string[];
  /** The sources whose Observations it collects. */
  readonly collects: readonly string[];
}

/** What requests are answered, apart from what nobody sends who means well. */
const statuses = ['204', '400', '413', '422', '503'];
const gatewayStatuses = [...statuses, '200', '401', '403', '415', '429'];

/** The reasons that every source may count; others are its own. */
const commonReasons = [...filterReasons, 'limit'];

type Begin<Name extends string> = (name: Name, labels: Readonly<Record<string, string>>) => void;

export interface Beginnings {
  readonly zero: Begin<ZeroCounter>;
  readonly observe: Begin<'event_processing_duration_seconds' | 'gc_duration_seconds'>;
}

type ZeroCounter =
  | 'events_total'
  | 'observations_created_total'
  | 'observations_deduped_total'
  | 'observations_unchanged_total'
  | 'observations_filtered_total'
  | 'observations_deleted_total'
  | 'observations_create_errors_total'
  | 'announcements_total'
  | 'deadletters_total'
  | 'gc_runs_total'
  | 'gc_errors_total'
  | 'webhook_requests_total'
  | 'webhook_events_dropped_total'
  | 'filter_reload_total'
  | 'expression_errors_total'
  | 'passes_total';

/**
 * Begins series at 0. A function sleeps most of the time, and of a series that first appears with what it has counted,
 * `rate` and `increase` never see the rise.
 */
export function beginAtZero(counting: Counting, { zero, observe }: Beginnings): void {
  const { name: source, endpoints, isGateway, categories, hasState, deadLettersOf, collects } = counting;
  const each = (name: ZeroCounter, label: string, values: readonly string[], more = {}): void => {
    for (const value of values) zero(name, { ...more, [label]: value });
  };
  observe('event_processing_duration_seconds', { source });
  each('observations_create_errors_total', 'error_type', ['400', '413', '422', '503'], { source });
  for (const endpoint of endpoints) {
    each('webhook_requests_total', 'status', isGateway ? gatewayStatuses : statuses, { endpoint });
    if (isGateway) zero('webhook_events_dropped_total', { endpoint });
  }
  for (const category of categories) each('events_total', 'severity', severities, { source, category });
  if (categories.length > 0) {
    zero('observations_created_total', { source });
    zero('observations_deduped_total', { source });
  }
  if (hasState) zero('observations_unchanged_total', { source });
  if (counting.usesFilters) {
    each('filter_reload_total', 'result', ['success', 'error']);
    each('observations_filtered_total', 'reason', commonReasons, { source });
  }
  each('expression_errors_total', 'kind', counting.expressionKinds);
  if (counting.isScheduled) zero('passes_total', { source });
  each('announcements_total', 'outcome', counting.announces, { sink: source });
  for (const of of deadLettersOf) each('deadletters_total', 'reason', ['redelivered', 'recorded'], { source: of });
  if (collects.length === 0) return;
  zero('gc_runs_total', {});
  observe('gc_duration_seconds', {});
  for (const operation of ['list', 'delete']) each('gc_errors_total', 'error_type', ['503'], { operation });
  for (const of of collects) each('observations_deleted_total', 'reason', ['ttl', 'limit', 'copy'], { source: of });
}

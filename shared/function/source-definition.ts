import type * as z from 'zod';
import type { Normalized } from '../observation/observation.ts';
import type { CommonSettings } from './settings.ts';
import type { Trigger } from './triggers.ts';

export interface NormalizeOptions<Settings> {
  /** RFC 3339: the CloudEvent's time, or the object's creationTimestamp. */
  readonly time: string;
  readonly settings: Settings & CommonSettings;
}

/** What a source says of itself: the schema of its tool's data and a pure `normalize`. */
export interface SourceDefinition<Data, Settings> {
  readonly name: string;
  readonly triggers: readonly Trigger<Data, Settings>[];
  /** A zod object whose keys are the names of the source's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  /** What the tool sends. Unknown fields are ignored. */
  readonly schema: z.ZodType<Data>;
  /** Uses its arguments only: no clock, no random, no environment, no logging; never throws on what `schema` accepts. */
  normalize(data: Data, options: NormalizeOptions<Settings>): Normalized;
}

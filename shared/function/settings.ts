import * as z from 'zod';
import { severities } from '../finding/severity.ts';

/** A whole number in an environment variable. The message names the range, since a user reads it at start. */
export function integer(min: number, max: number): z.ZodType<number, string> {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, { error: message })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: message });
}

/** A list separated by commas: items are trimmed, and empty ones left out. */
export const commaList = z.string().transform((list) =>
  list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/** The name of a namespace (an RFC 1123 label). */
export const namespaceName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, { error: 'must be the name of a namespace' });

const trueOrFalse = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((word) => word === 'true');

/** Where something is that isn't ours. What is secret in it belongs in a file, since everyone may read the environment. */
export const outsideUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .refine((url) => URL.parse(url)?.username === '', { error: 'must have no user and no password: mount a token' });

/** Several of them, separated by commas. */
export const outsideUrls = commaList.pipe(z.array(outsideUrl).min(1));
const severityList = commaList
  .transform((words) => words.map((one) => one.toUpperCase()))
  .pipe(z.array(z.enum(severities, { error: `must be a list of ${severities.join(', ')}` })));

const secondsPerDay = 86_400;

/**
 * The environment variables that every function reads. Its `in` schema has what may be set, before some are derived
 * from others.
 */
export const commonSchema = z
  .object({
    LOG_LEVEL: z
      .string()
      .transform((level) => level.toUpperCase())
      .pipe(z.enum(['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'], { error: 'must be DEBUG, INFO, WARN, ERROR or FATAL' }))
      .default('INFO'),
    PORT: integer(0, 65_535).default(8080),
    WATCH_NAMESPACE: namespaceName.optional(),
    SYSTEM_NAMESPACE: namespaceName.default('zen-system'),
    OBSERVATION_TTL_SECONDS: integer(1, 3_153_600_000).optional(),
    OBSERVATION_TTL_DAYS: integer(1, 36_500).default(7),
    DEDUP_CACHE_SIZE: integer(0, 10_000_000).default(5000),
    MAX_OBSERVATIONS: integer(1, 100_000_000).default(100_000),
    GC_INTERVAL_MINUTES: integer(1, 1440).default(60),
    RESYNC_INTERVAL_MINUTES: integer(1, 1440).default(60),
    SOURCE_SILENT_MINUTES: integer(1, 525_600).optional(),
    MAX_REQUEST_BYTES: integer(1024, 1_073_741_824).default(12_582_912),
    BROKER_NAME: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, { error: 'must be the name of a Broker' })
      .default('zen-watcher'),
    BROKER_TOKEN_FILE: z.string().default('/var/run/secrets/zen-watcher/broker/token'),
    K_SINK: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
    MASK_SECRETS: trueOrFalse.default(true),
    TENANTS_FILTER_EVENTS: trueOrFalse.default(false),
    EXCEPTION_MAX_DAYS: integer(1, 36_500).optional(),
    EXCEPTION_NEEDS_APPROVAL: severityList.default([]),
    EVENT_NAMESPACE: z.enum(['affected', 'system'], { error: 'must be affected or system' }).default('affected'),
    CLUSTER_NAME: z.string().max(253, { error: 'must have at most 253 characters' }).default(''),
    ANNOUNCE: trueOrFalse.default(false),
    ANNOUNCE_MIN_SEVERITY: z.enum(severities, { error: `must be one of ${severities.join(', ')}` }).optional(),
    ANNOUNCE_INTERVAL_MINUTES: integer(1, 1440).default(10),
    PAGE_URL: outsideUrl.optional(),
    SINK_TOKEN_FILE: z.string().optional(),
    SINK_CA_FILE: z.string().optional(),
    K_CE_OVERRIDES: z.string().optional(),
    K_CA_CERTS: z.string().optional(),
    OIDC_TOKEN_FILE: z.string().default('/oidc/token'),
    KUBERNETES_SERVICE_HOST: z.string().default('kubernetes.default.svc'),
    KUBERNETES_SERVICE_PORT: integer(1, 65_535).default(443),
    API_TIMEOUT_SECONDS: integer(1, 300).default(15),
    SERVICE_ACCOUNT_DIR: z.string().default('/var/run/secrets/kubernetes.io/serviceaccount'),
  })
  .transform(({ OBSERVATION_TTL_SECONDS: seconds, OBSERVATION_TTL_DAYS: days, ...settings }) => ({
    ...settings,
    OBSERVATION_TTL_SECONDS: seconds ?? days * secondsPerDay,
    // A tenant's zen-watcher may use a single namespace, so it is the system namespace, too.
    SYSTEM_NAMESPACE: settings.WATCH_NAMESPACE ?? settings.SYSTEM_NAMESPACE,
  }));

export const commonSettingNames: readonly string[] = Object.keys(commonSchema.in.shape);

/** The names of a function's own settings. */
export function settingNames(schema: z.ZodType): string[] {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null
    ? Object.keys(schema.shape)
    : [];
}

/**
 * The settings of every function, and `ownUsers`: the user names that zen-watcher itself uses to call the API server.
 */
export type CommonSettings = z.infer<typeof commonSchema> & { readonly ownUsers: readonly string[] };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names every invalid environment variable; thrown at start. */
export class SettingsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`bad settings: ${faults.join('; ')}`);
    this.name = 'SettingsError';
    this.faults = faults;
  }
}

function faultsOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
}

/**
 * Reads the common settings, and a function's own, from an environment. A variable that is set to the empty string
 * counts as not set. Throws a SettingsError.
 */
export function parseSettings<Own>(
  environment: Environment,
  own: z.ZodType<Own>,
  ownUsers: readonly string[],
): Own & CommonSettings {
  const set = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const common = commonSchema.safeParse(set);
  const parsed = own.safeParse(set);
  if (common.success && parsed.success) return { ...parsed.data, ...common.data, ownUsers };
  throw new SettingsError([
    ...(common.success ? [] : faultsOf(common.error)),
    ...(parsed.success ? [] : faultsOf(parsed.error)),
  ]);
}

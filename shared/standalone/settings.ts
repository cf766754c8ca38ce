import * as z from 'zod';
import { type Environment, integer, parseSettings, SettingsError } from '../function/settings.ts';
import type { SecureOptions } from '../host/listen.ts';

/** What only standalone reads: on Knative it is the gateway that ends TLS. */
export const standaloneSettings = z.object({
  TLS_CERT_FILE: z.string().optional(),
  TLS_KEY_FILE: z.string().optional(),
  TLS_PORT: integer(0, 65_535).default(8443),
});

/** Whether and how it serves https. Throws a SettingsError. */
export function secureOptions(environment: Environment): SecureOptions | undefined {
  const settings = parseSettings(environment, standaloneSettings, []);
  const { TLS_CERT_FILE: certificateFile, TLS_KEY_FILE: keyFile, TLS_PORT: port } = settings;
  if (certificateFile !== undefined && keyFile !== undefined) return { certificateFile, keyFile, port };
  if (certificateFile === keyFile) return undefined;
  throw new SettingsError(['TLS_CERT_FILE and TLS_KEY_FILE must be set both, or neither']);
}

import * as z from 'zod';
import { outsideUrl } from '../shared/function/settings.ts';
import { defineSink } from '../shared/pipeline/sink.ts';
import { formatNames, formats } from './sender/formats.ts';
import { messageOf, parseTemplate, type Template } from './sender/template.ts';

/** A preset, or a template: then it begins with a brace. */
const format = z
  .string()
  .transform((text, context): (typeof formatNames)[number] | Template => {
    const preset = formatNames.find((name) => name === text);
    if (preset) return preset;
    const template = parseTemplate(text);
    if ('fault' in template) {
      context.addIssue(`must be ${formatNames.join(', ')}, or a JSON object: ${template.fault}`);
      return z.NEVER;
    }
    return template;
  })
  .default('json');

const settingsSchema = z.object({
  SINK_URL: outsideUrl.optional(),
  SINK_URL_FILE: z.string().optional(),
  SINK_FORMAT: format,
});

/**
 * Tells any receiver of JSON over HTTP. One whose address is its secret, as Slack's and Teams' are, has it in a mounted
 * file.
 */
export default defineSink<z.infer<typeof settingsSchema>>({
  name: 'sender',
  settings: settingsSchema,
  ports: [443, 80],
  receiver({ SINK_URL: url, SINK_URL_FILE: file, SINK_TOKEN_FILE: tokenFile, SINK_CA_FILE: caFile }) {
    if (file !== undefined) return { urls: [{ file }], tokenFile, caFile };
    return url === undefined ? undefined : { urls: [url], tokenFile, caFile };
  },
  request(observation, change, { settings }) {
    const { SINK_FORMAT: wanted } = settings;
    return typeof wanted === 'string'
      ? formats[wanted](observation, change, settings)
      : messageOf(wanted, observation, change, settings);
  },
});

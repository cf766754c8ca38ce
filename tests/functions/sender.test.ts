import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { announcementOf } from '../../functions/announce/event.ts';
import sender from '../../functions/sender.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { bearsOwnMark, ownMark } from '../../shared/api/own-mark.ts';
import { toldOf } from '../../shared/api/told.ts';
import type { Outgoing } from '../../shared/function/context.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { temporaryFolder } from '../host/program.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const noon = Date.parse('2026-03-01T12:00:00Z');
const text = 'a <b> & "c"';

function observation() {
  const finding = {
    ...aFinding('no-root', 'shop'),
    summary: text,
    remediation: 'set runAsNonRoot',
    references: ['https://x/1'],
  };
  const object = anObservationOf(finding, { source: 'kyverno', now: noon });
  const stored = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-03-01T12:00:00Z' };
  return { ...object, metadata: { ...object.metadata, ...stored } };
}

const mark = `shop/${observation().metadata.name}`;

/** What is sent in a format. */
async function sent(
  format: string | undefined,
  environment: Record<string, string> = {},
  object: Observation = observation(),
): Promise<Outgoing> {
  const posted: Outgoing[] = [];
  const post = async (outgoing: Outgoing) => {
    posted.push(outgoing);
    return { status: 200, retryAfter: undefined, words: '' };
  };
  const all = {
    SINK_URL: 'https://siem.example.com/in?index=zen',
    CLUSTER_NAME: 'prod',
    PAGE_URL: 'https://zen.example.com/',
    ...(format !== undefined && { SINK_FORMAT: format }),
    ...environment,
  };
  const { context } = createTestContext(sender, { environment: all, context: { post } });
  const now = toldOf(object.metadata.labels, noon);
  const event = announcementOf(object, { before: undefined, now, time: noon, cluster: 'prod' });
  await handled(sender, event, context);
  const [outgoing] = posted;
  if (!outgoing) throw new Error('nothing was sent');
  return outgoing;
}

const page = `https://zen.example.com/?finding=shop%2F${observation().metadata.name}`;
const record = {
  [ownMark]: mark,
  change: 'opened',
  id: `${mark}/${noon}`,
  time: '2026-03-01T12:00:00.000Z',
  cluster: 'prod',
  namespace: 'shop',
  workload: 'deployment/web',
  page,
  observation: { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', spec: { rule: 'no-root' } },
};

describe('sender', () => {
  it('sends a list with one record, unless it is told otherwise', async () => {
    const { url, contentType, body } = await sent(undefined);
    expect({ url, contentType }).toEqual({
      url: 'https://siem.example.com/in?index=zen',
      contentType: 'application/json',
    });
    expect(JSON.parse(body)).toMatchObject([record]);
  });

  it('sends a line', async () => {
    const { contentType, body } = await sent('jsonl');
    expect(contentType).toBe('application/x-ndjson');
    expect(body.endsWith('}\n')).toBe(true);
    expect(body.trimEnd()).not.toContain('\n');
    expect(JSON.parse(body)).toMatchObject(record);
  });

  it('sends a message to Slack, in which nothing of a tool is markup', async () => {
    const { contentType, body } = await sent('slack');
    expect(contentType).toBe('application/json');
    expect(JSON.parse(body)).toEqual({
      text: 'HIGH opened: a &lt;b&gt; &amp; "c"',
      blocks: [
        {
          type: 'section',
          block_id: `${ownMark}=${mark}`,
          text: {
            type: 'mrkdwn',
            text: [
              ':large_orange_circle: *HIGH opened: a &lt;b&gt; &amp; "c"*',
              'prod · shop · deployment/web · kyverno · no-root',
              'set runAsNonRoot',
              `<${page}|details>`,
            ].join('\n'),
          },
        },
      ],
    });
  });

  it('sends a card to Teams', async () => {
    const { attachments, type } = JSON.parse((await sent('teams')).body);
    expect(type).toBe('message');
    expect(attachments).toMatchObject([
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          type: 'AdaptiveCard',
          body: [{ text: `HIGH opened: ${text}`, id: `${ownMark}=${mark}` }, {}, { text: 'set runAsNonRoot' }],
          actions: [{ type: 'Action.OpenUrl', url: page }],
        },
      },
    ]);
  });

  it('sends a card as a whole', async () => {
    expect(JSON.parse((await sent('teams')).body).attachments[0].content).toEqual({
      type: 'AdaptiveCard',
      version: '1.4',
      body: [
        { type: 'TextBlock', text: `HIGH opened: ${text}`, wrap: true, weight: 'Bolder', id: `${ownMark}=${mark}` },
        { type: 'TextBlock', text: 'prod · shop · deployment/web · kyverno · no-root', wrap: true },
        { type: 'TextBlock', text: 'set runAsNonRoot', wrap: true },
      ],
      actions: [{ type: 'Action.OpenUrl', title: 'Details', url: page }],
    });
  });

  describe('of what is said little about', () => {
    const { metadata, spec, ...rest } = observation();
    const { summary: _summary, rule: _rule, remediation: _advice, ...bare } = spec;
    const object = { ...rest, metadata, spec: bare };
    const nowhere = { CLUSTER_NAME: '', PAGE_URL: '' };

    async function bodyOf(format: string) {
      const { body } = await sent(format, nowhere, object);
      return JSON.parse(body);
    }

    it('sends to Slack no line that is empty', async () => {
      const { blocks } = await bodyOf('slack');
      expect(blocks[0].text.text).toBe(
        ':large_orange_circle: *HIGH opened: policy-violation*\nshop · deployment/web · kyverno',
      );
    });

    it('sends to Teams no block that is empty, and nothing to open', async () => {
      const { content } = (await bodyOf('teams')).attachments[0];
      expect(content.body.map((block: { text: string }) => block.text)).toEqual([
        'HIGH opened: policy-violation',
        'shop · deployment/web · kyverno',
      ]);
      expect(content).not.toHaveProperty('actions');
    });

    it('sends a CloudEvent from zen-watcher', async () => {
      expect(await bodyOf('cloudevent')).toMatchObject({ source: 'zen-watcher' });
    });
  });

  it.each([
    ['CRITICAL', ':red_circle:'],
    ['HIGH', ':large_orange_circle:'],
    ['MEDIUM', ':large_yellow_circle:'],
    ['LOW', ':large_blue_circle:'],
    ['UNKNOWN', ':white_circle:'],
  ] as const)('shows in Slack by a colour that it is %s', async (severity, icon) => {
    const object = observation();
    const { blocks } = JSON.parse((await sent('slack', {}, { ...object, spec: { ...object.spec, severity } })).body);
    expect(blocks[0].text.text.split('\n')[0]).toBe(`${icon} *${severity} opened: a &lt;b&gt; &amp; "c"*`);
  });

  it('marks a message to Slack in as many characters as it takes', async () => {
    const object = observation();
    const metadata = { ...object.metadata, namespace: 'n'.repeat(63), name: 'o'.repeat(253) };
    const { blocks } = JSON.parse((await sent('slack', {}, { ...object, metadata })).body);
    expect(blocks[0].block_id).toHaveLength(255);
  });

  it('sends the CloudEvent', async () => {
    const { contentType, body } = await sent('cloudevent');
    expect(contentType).toBe('application/cloudevents+json');
    expect(JSON.parse(body)).toMatchObject({
      specversion: '1.0',
      id: `${mark}/${noon}`,
      source: 'prod',
      type: 'io.kube-zen.observation.opened.v1',
      subject: `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${observation().metadata.name}`,
      data: record.observation,
    });
  });

  it.each(['json', 'jsonl', 'cloudevent', '{}'])(
    'marks what is sent as %s so that our own doors find it',
    async (format) => {
      expect(bearsOwnMark(JSON.parse((await sent(format)).body))).toBe(true);
    },
  );

  it('fills a template', async () => {
    const template = {
      message: '{.observation.spec.severity}: {.observation.spec.summary} ({.nothing})',
      references: '.observation.spec.references',
      nested: [{ rule: '$.observation.spec.rule' }, 7, null, true, 'plain {text}'],
      absent: '.nothing',
    };
    const { contentType, body } = await sent(JSON.stringify(template));
    expect(contentType).toBe('application/json');
    expect(JSON.parse(body)).toEqual({
      message: `HIGH: ${text} ()`,
      references: ['https://x/1'],
      nested: [{ rule: 'no-root' }, 7, null, true, 'plain {text}'],
      [ownMark]: mark,
    });
  });

  it.each([
    ['xml', 'SINK_FORMAT must be json, jsonl, slack, teams, cloudevent, or a JSON object: it is no JSON'],
    ['[]', 'SINK_FORMAT must be json, jsonl, slack, teams, cloudevent, or a JSON object: it is no object'],
    ['{"a": ".b["}', 'SINK_FORMAT must be json, jsonl, slack, teams, cloudevent, or a JSON object: .b[ is no path'],
    ['{"a": "{.b[}"}', 'SINK_FORMAT must be json, jsonl, slack, teams, cloudevent, or a JSON object: .b[ is no path'],
    ...['null', '7', '"a"'].map((format) => [
      format,
      'SINK_FORMAT must be json, jsonl, slack, teams, cloudevent, or a JSON object: it is no object',
    ]),
  ])('refuses the format %s at start', (format, message) => {
    expect(() => parseSettings({ SINK_FORMAT: format }, sender.settings, [])).toThrow(`bad settings: ${message}`);
  });

  it('asks to be told again as long as nobody says where the receiver is', async () => {
    const { context } = createTestContext(sender);
    const object = observation();
    const now = toldOf(object.metadata.labels, noon);
    const event = announcementOf(object, { before: undefined, now, time: noon, cluster: '' });
    await expect(handled(sender, event, context)).rejects.toMatchObject({ status: 503, retryAfter: 30 });
  });

  it('takes an address that is a secret from a file', async () => {
    const file = join(temporaryFolder(), 'url');
    writeFileSync(file, 'https://hooks.example.com/T0/B0/secret\n');
    const { url } = await sent('slack', { SINK_URL_FILE: file });
    expect(url).toEqual({ file });
  });
});

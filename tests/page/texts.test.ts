import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { freePort } from '../cluster/cluster.ts';
import { type Program, startProgram, temporaryFolder, until } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import {
  desktop,
  isTooWide,
  openTab,
  phone,
  picture,
  rowsOf,
  skipWithoutBrowser,
  startBrowser,
  violationsOn,
} from './browser.ts';

const signal = AbortSignal.timeout(600_000);
const markup = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
const bidi = 'safe\u202etxt.exe\u2066\u200b';
const long = 'n'.repeat(8192);

/** Texts that a tool, or whoever can make it report something, may choose. */
const hostile = [
  anObservation({
    metadata: { name: 'markup', labels: { 'zen.kube-zen.io/state': markup } },
    spec: {
      source: markup,
      rule: markup,
      summary: markup,
      remediation: `${markup}\n</script><!--`,
      references: ['javascript:window.broken=1', 'https://example.com/"onmouseover="window.broken=1', markup],
      resource: { kind: markup, name: markup, namespace: markup },
      actor: { username: markup, groups: [markup], userAgent: markup },
      details: { [markup]: markup, nested: { __proto__: { a: markup }, list: [markup, [markup]] }, image: markup },
    },
  }),
  anObservation({
    metadata: { name: 'bidi' },
    spec: { source: 'posture', rule: bidi, summary: bidi, remediation: bidi, details: { [bidi]: bidi } },
  }),
  anObservation({
    metadata: { name: 'long' },
    spec: {
      source: 'posture',
      rule: long,
      summary: long,
      resource: { kind: long, name: long, namespace: 'shop' },
      actor: { username: long },
      references: [`https://example.com/${long}`],
      details: { [long]: long, image: long },
    },
  }),
  anObservation({
    metadata: { name: 'odd', annotations: { 'zen.kube-zen.io/history': '{"not":"a list"' } },
    spec: { source: 'posture', summary: '', details: { none: null, number: 1, yes: true }, detectedAt: 'yesterday' },
  }),
];

/** An event that is accepted, as no pass would look for it, and one that went away. */
const settled = [
  anObservation({
    metadata: {
      name: 'accepted',
      labels: { 'zen.kube-zen.io/accepted': 'forever' },
      annotations: {
        'zen.kube-zen.io/exception': 'shop/old-openssl',
        'zen.kube-zen.io/accepted-by': 'alice',
        'zen.kube-zen.io/accepted-reason': 'the cart needs this for a while',
      },
    },
    spec: { source: 'posture', severity: 'MEDIUM', summary: 'An accepted finding', rule: 'accepted-rule' },
  }),
  anObservation({
    metadata: {
      name: 'missing',
      creationTimestamp: '2020-01-01T00:00:00Z',
      labels: { 'zen.kube-zen.io/state': 'missing', 'zen.kube-zen.io/since': String(Date.now()) },
    },
    spec: { source: 'posture', severity: 'LOW', summary: 'A finding that went away' },
  }),
];

const stored = [...hostile, ...settled];

describe.skipIf(skipWithoutBrowser())('the page, with hostile texts', { timeout: 120_000 }, () => {
  let program: Program;
  let browser: Browser;
  let data: string;
  let port: number;

  const start = () => startProgram({ args: ['--port', String(port), '--data', data] });

  beforeAll(async () => {
    data = temporaryFolder();
    port = await freePort();
    const store = createEmbeddedStore({ data, now: Date.now });
    for (const object of stored) await store.create(object, signal);
    store.close();
    program = await start();
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
  });

  it.each(['markup', 'bidi', 'long', 'odd'])('shows each as text, and nothing else happens: %s', async (name) => {
    for (const look of [desktop, phone]) {
      const { page, faults, requests, context } = await openTab(browser, look);
      await page.goto(`${program.url}/?view=all&finding=shop/${name}`);
      const finding = page.getByRole('complementary', { name: 'One finding' });
      await finding.getByRole('heading', { name: 'Details' }).waitFor();
      await finding.getByText('YAML', { exact: true }).click();
      await finding.getByText('Accept', { exact: true }).click();
      expect(await page.evaluate('window.broken')).toBeUndefined();
      expect(await page.locator('#page img, #page script, [onmouseover], a[href^="javascript"]').count()).toBe(0);
      expect(await page.evaluate('document.body.innerText')).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b]/);
      expect(await isTooWide(page)).toBe(false);
      expect(await violationsOn(page)).toEqual([]);
      expect(requests.filter((url) => !url.startsWith(program.url) && !url.startsWith('data:'))).toEqual([]);
      expect(faults).toEqual([]);
      await picture(page, `hostile-${name}-${look.width}`);
      await context.close();
    }
  });

  it('says until when, why and by whom something is accepted, on a phone, too', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${program.url}/?view=accepted`);
    await rowsOf(page).first().waitFor();
    expect(await page.locator('.head').innerText()).toMatch(/Reason\s+Until/);
    expect(await rowsOf(page).first().locator('.rule').innerText()).toContain('the cart needs this for a while');
    expect(await rowsOf(page).first().locator('.when').innerText()).toBe('for ever');
    await rowsOf(page).first().getByRole('link').click();
    const finding = page.getByRole('complementary', { name: 'One finding' });
    await finding.getByText('the cart needs this for a while', { exact: true }).waitFor();
    await finding.getByText('alice', { exact: true }).waitFor();
    await finding.getByText('shop/old-openssl', { exact: true }).waitFor();
    const { page: small } = await openTab(browser, phone);
    await small.goto(`${program.url}/?view=accepted`);
    await small.getByText(/^for ever: the cart needs this for a while$/).waitFor();
    expect(await isTooWide(small)).toBe(false);
    await picture(small, 'accepted-phone');
  });

  it('says since when what is gone is no longer reported', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${program.url}/?view=gone`);
    await rowsOf(page).first().waitFor();
    expect(await page.locator('.head').innerText()).toContain('Gone since');
    const row = rowsOf(page).filter({ hasText: 'A finding that went away' });
    expect(await row.locator('.when').innerText()).toMatch(/^\d+[smh]\s+no longer reported$/);
  });

  it('shows escapes by their codes, and markup as it is written', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${program.url}/?view=all`);
    await rowsOf(page).first().waitFor();
    await page.getByText('safe\\u{202e}txt.exe\\u{2066}\\u{200b}').first().waitFor();
    await page.getByText(markup).first().waitFor();
    await page.getByRole('region', { name: 'Rule' }).getByRole('link', { name: /^<img/ }).click();
    await expect.poll(() => rowsOf(page).count()).toBe(1);
  });

  it('says so when the server is gone, shows what it read last, and goes on when the server is back', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${program.url}/?view=all`);
    await page.getByText('Live', { exact: true }).waitFor();
    await expect.poll(() => rowsOf(page).count()).toBe(stored.length);
    await program.kill();
    await page.getByText('Not connected').waitFor();
    await page.getByRole('alert').getByText('this is what was read last').waitFor();
    expect(await rowsOf(page).count()).toBe(stored.length);
    await picture(page, 'gone');
    program = await start();
    await page.getByText('Live', { exact: true }).waitFor();
    await until('the notice to go', async () => (await page.getByRole('alert').count()) === 0);
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ rule: 'Back again', priority: 'Critical', hostname: 'node-1' });
    await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body });
    await page.getByText('Back again').first().waitFor();
  });
});

import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Program, samplesPlayed, startProgram, within } from '../host/program.ts';
import {
  desktop,
  isTooWide,
  type Look,
  openTab,
  phone,
  picture,
  rowsOf,
  skipWithoutBrowser,
  startBrowser,
  type Tab,
  violationsOn,
} from './browser.ts';

describe.skipIf(skipWithoutBrowser())('the page, with the samples', { timeout: 120_000 }, () => {
  let program: Program;
  let browser: Browser;

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--samples'] });
    await samplesPlayed(program.log);
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
  });

  async function open(path = '/', look: Look = desktop): Promise<Tab> {
    const tab = await openTab(browser, look);
    await tab.page.goto(program.url + path);
    await tab.page.getByRole('table', { name: 'Findings' }).waitFor();
    await tab.page.getByText('Live', { exact: true }).waitFor();
    return tab;
  }

  const facet = (page: Page, title: string, value: string) =>
    page.getByRole('region', { name: title }).getByRole('link', { name: value });

  it('looks as the README shows it', async () => {
    const { page } = await open('/', { width: 1200, height: 720, colorScheme: 'light' });
    expect(await rowsOf(page).count()).toBeGreaterThan(10);
    await picture(page, 'readme');
  });

  describe('answers in at most two clicks', () => {
    it('what is new since yesterday', async () => {
      const { page } = await open();
      await page.getByRole('link', { name: /^New/ }).click();
      await expect.poll(() => rowsOf(page).count()).toBeGreaterThan(10);
      expect(new URL(page.url()).searchParams.get('view')).toBe('new');
    });

    it('what is CRITICAL and can be fixed', async () => {
      const { page } = await open();
      await facet(page, 'Severity', 'CRITICAL').click();
      await page.getByLabel('Can be fixed').click();
      await expect.poll(() => rowsOf(page).count()).toBe(1);
      expect(await rowsOf(page).first().innerText()).toMatch(/CVE-2099-0001 in\s+openssl/);
    });

    it('what hits production', async () => {
      const { page } = await open();
      await facet(page, 'Namespace', 'shop').click();
      await expect.poll(async () => (await rowsOf(page).allInnerTexts()).every((text) => /shop/.test(text))).toBe(true);
      expect(await rowsOf(page).count()).toBeGreaterThan(3);
    });

    it('who touched secrets', async () => {
      const { page } = await open();
      await facet(page, 'Resource kind', 'Secret').click();
      await expect.poll(() => rowsOf(page).count()).toBe(1);
      expect(await rowsOf(page).first().innerText()).toContain('by eve@example.com');
    });

    it('what did this workload do', async () => {
      const { page } = await open();
      await facet(page, 'Workload', 'shop/cart').click();
      await page.getByRole('heading', { name: 'shop/cart' }).waitFor();
      const focus = page.getByRole('region', { name: 'shop/cart' });
      for (const source of ['trivy', 'checkov', 'falco', 'audit']) {
        expect(await focus.getByRole('link', { name: source }).count()).toBeGreaterThan(0);
      }
      await picture(page, 'workload');
    });
  });

  it('shows one finding: what to do, where, its history, its details and itself', async () => {
    const { page, faults } = await open();
    await page.getByRole('link', { name: /CVE-2099-0001 in openssl/ }).click();
    const finding = page.getByRole('complementary', { name: 'One finding' });
    await finding.getByText('upgrade openssl to 3.0.15-1').first().waitFor();
    await finding.getByRole('link', { name: 'https://example.com/cve-2099-0001' }).waitFor();
    await finding.getByText('stored').waitFor();
    await finding.getByText('YAML', { exact: true }).click();
    expect(await finding.locator('.raw pre').innerText()).toContain('kind: Observation');
    await picture(page, 'finding');
    expect(faults).toEqual([]);
  });

  it('writes the exception that accepts it, to copy', async () => {
    const { page } = await open();
    await page.getByRole('link', { name: /CVE-2099-0001 in openssl/ }).click();
    const finding = page.getByRole('complementary', { name: 'One finding' });
    await finding.getByText('Accept', { exact: true }).click();
    await finding.getByRole('button', { name: 'Copy YAML' }).click();
    await finding.getByText('Say why first').waitFor();
    await finding.getByLabel('Why').fill('not reachable: "yes"');
    await finding.getByLabel('Until').fill('');
    await finding.getByText('No date: for ever.').waitFor();
    await finding.getByLabel('Until').fill('2030-01-31');
    await finding.getByLabel('Ticket').fill('SEC-1');
    const yaml = await finding.locator('.accept pre').innerText();
    expect(yaml).toContain('kind: ObservationException');
    expect(yaml).toContain('reason: "not reachable: \\"yes\\""');
    expect(yaml).toContain('until: "2030-01-31T23:59:59Z"');
    expect(yaml).toContain('ticket: SEC-1');
    expect(yaml).toContain('expression: "workload.kind == \\"rollout\\" && workload.name == \\"cart\\""');
    expect(yaml).toContain('- CVE-2099-0001');
    expect(await finding.getByRole('button', { name: 'Apply' }).count()).toBe(0);
    await picture(page, 'accept');
  });

  it('shows a rule with what it hits and what clears it, an image with what runs it, a user with what else they did', async () => {
    const { page } = await open();
    await page.getByRole('link', { name: /CVE-2099-0001 in openssl/ }).click();
    const finding = page.getByRole('complementary', { name: 'One finding' });
    await finding.getByRole('link', { name: 'CVE-2099-0001', exact: true }).click();
    const rule = page.getByRole('region', { name: 'CVE-2099-0001' });
    await rule.getByText('clears 1').waitFor();
    expect(await rule.getByRole('link', { name: 'shop/cart 1', exact: true }).count()).toBe(1);
    await finding.getByRole('link', { name: 'registry.example.com/shop/cart' }).click();
    await page
      .getByRole('region', { name: 'registry.example.com/shop/cart' })
      .getByRole('link', { name: 'shop/cart' })
      .first()
      .waitFor();
    await page.goto(`${program.url}/?actor=eve%40example.com&view=all`);
    const user = page.getByRole('region', { name: 'eve@example.com' });
    await user.getByRole('link', { name: 'pod-exec' }).waitFor();
    await user.getByRole('link', { name: 'secret-access' }).waitFor();
  });

  it('searches while somebody types, and the address says what is shown', async () => {
    const { page } = await open();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('openssl');
    await expect.poll(() => rowsOf(page).count()).toBe(1);
    const address = page.url();
    expect(new URL(address).search).toBe('?search=openssl');
    const { page: colleague } = await open(new URL(address).search);
    expect(await colleague.getByLabel('Search in findings').inputValue()).toBe('openssl');
    expect(await rowsOf(colleague).count()).toBe(1);
    await colleague.getByRole('link', { name: /Remove filter/ }).click();
    await expect.poll(() => rowsOf(colleague).count()).toBeGreaterThan(10);
    await colleague.goBack();
    await expect.poll(() => rowsOf(colleague).count()).toBe(1);
  });

  it('loses nothing of what somebody types between two frames, and "back" leaves the search', async () => {
    const { page } = await open();
    const typed = await page.evaluate(`(async () => {
      const field = document.querySelector('#search');
      for (const letter of 'openssl') {
        field.value += letter;
        field.dispatchEvent(new InputEvent('input', { bubbles: true }));
        await Promise.resolve().then(() => undefined);
      }
      return field.value;
    })()`);
    expect(typed).toBe('openssl');
    await expect.poll(() => rowsOf(page).count()).toBe(1);
    await page.goBack();
    await expect.poll(() => page.getByLabel('Search in findings').inputValue()).toBe('');
    expect(new URL(page.url()).search).toBe('');
  });

  it('can be had as CSV and JSON', async () => {
    const { page } = await open('/?severity=CRITICAL');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'CSV' }).click(),
    ]);
    const chunks = await Array.fromAsync(await download.createReadStream());
    const lines = Buffer.concat(chunks).toString().trim().split('\r\n');
    expect(lines).toHaveLength(3);
    await download.delete();
    const href = await page.getByRole('link', { name: 'JSON' }).getAttribute('href');
    expect(await (await fetch(program.url + href)).json()).toMatchObject({ kind: 'List', items: [{}, {}] });
  });

  it('can be used by the keyboard alone', async () => {
    const { page } = await open();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the findings');
    await page.keyboard.press('Enter');
    const focused = () => page.evaluate("document.activeElement.getAttribute('data-row')");
    for (let tab = 0; tab < 8 && (await focused()) === null; tab += 1) await page.keyboard.press('Tab');
    expect(await focused()).toBe('0');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    expect(await focused()).toBe('2');
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'One finding' }).getByRole('heading', { level: 2 }).waitFor();
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('finding');
    await page.keyboard.press('Escape');
    await expect.poll(focused).toBe('2');
  });

  it('shows what comes while somebody looks', async () => {
    const { page } = await open();
    const body = JSON.stringify({ rule: 'While somebody looks', priority: 'Error', hostname: 'node-1' });
    await fetch(`${program.url}/falco/webhook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    await within('a change is visible', 1, () =>
      page
        .getByText('While somebody looks')
        .first()
        .isVisible()
        .then((is) => is || undefined),
    );
  });

  it.each([
    ['the start', '/', desktop],
    ['the start on a phone', '/', phone],
    ['one finding', 'finding', desktop],
    ['one finding on a phone', 'finding', phone],
    ['a workload', '/?workload=shop/cart', { ...desktop, colorScheme: 'dark' } as const],
    ['nothing', '/?search=nothing-has-this', desktop],
  ])('is accessible and fits: %s', async (name, path, look) => {
    const tab = await openTab(browser, look);
    const { page } = tab;
    await page.goto(program.url + (path === 'finding' ? '/' : path));
    await page.getByText('Live', { exact: true }).waitFor();
    if (path === 'finding') {
      await page.getByRole('link', { name: /CVE-2099-0001 in openssl/ }).click();
      await page.getByText('Accept', { exact: true }).click();
    } else await page.getByRole('heading', { level: 2 }).first().waitFor();
    expect(await violationsOn(page)).toEqual([]);
    expect(await isTooWide(page)).toBe(false);
    await picture(page, name.replaceAll(' ', '-'));
    expect(tab.faults).toEqual([]);
  });

  it('asks nobody else, runs nothing else, and takes at most 60 KB', async () => {
    const { page, requests, faults } = await open();
    expect(requests.filter((url) => !url.startsWith(program.url) && !url.startsWith('data:'))).toEqual([]);
    const response = await fetch(program.url);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+';/);
    expect(policy).not.toMatch(/unsafe|\*/);
    const bytes = gzipSync(await response.text(), { level: 9 }).length;
    console.log(`the page: ${bytes} bytes compressed (promised: 60,000)`);
    expect(bytes).toBeLessThan(60_000);
    expect(faults).toEqual([]);
    // By whatever way a tool's text could become part of the page: neither runs, and nothing leaves.
    const outcomes = await page.evaluate(`Promise.all([
      async () => document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.broken = true">'),
      async () => document.body.append(Object.assign(document.createElement('script'), { text: 'window.broken = true' })),
      () => fetch('https://example.com/'),
    ].map((attempt) => attempt().then(() => 'done', () => 'refused')))`);
    expect(outcomes).toEqual(['refused', 'refused', 'refused']);
    expect(await page.evaluate('window.broken')).toBeUndefined();
  });
});

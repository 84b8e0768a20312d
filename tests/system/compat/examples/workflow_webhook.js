// shared/seeds/workflow-scheduler.md, "Custom Webhook"; the fetch is that of its first example.
const schedule = {
  name: "External API Sync",
  cron_expression: "@hourly",
  target_type: "webhook",
  target_url: "https://api.example.com/sync",
  target_method: "POST",
  target_headers: {
    "X-API-Key": "your-api-key"
  },
  target_payload: {
    "action": "sync",
    "source": "vrooli"
  }
};

fetch('http://localhost:8090/api/schedules', {
  method: 'POST',
  headers: {'Content-Type': 'application/json'},
  body: JSON.stringify(schedule)
});

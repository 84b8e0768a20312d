// shared/seeds/workflow-scheduler.md, "Trigger Windmill Job"; the fetch is that of its first example.
const schedule = {
  name: "Generate Analytics",
  cron_expression: "0 0 * * *",
  target_type: "webhook",
  target_url: "http://localhost:5681/api/w/main/jobs/run/f/analytics",
  target_headers: {
    "Authorization": "Bearer YOUR_TOKEN"
  }
};

fetch('http://localhost:8090/api/schedules', {
  method: 'POST',
  headers: {'Content-Type': 'application/json'},
  body: JSON.stringify(schedule)
});

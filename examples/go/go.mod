module example.com/squirrel-example

go 1.22
